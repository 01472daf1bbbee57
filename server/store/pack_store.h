// PackStore: bytes. It keeps immutable packs under random ids and knows nothing
// of what is in them, or who needs it; the catalog does.
//
// Life of a pack:
//   Stage()                a private file, to append to or to map for writing
//   StagedPack::Publish()  its bytes are durable, and readable under its id
//   Flush()                and so is its name: a crash cannot take it back
//   Read()                 as often as wanted
//   Remove()               what was read stays readable until it is let go
// A pack that was published, but that no catalog transaction came to name, is
// what Sweep removes when the store is next opened.

#ifndef WARMSTART_SERVER_STORE_PACK_STORE_H_
#define WARMSTART_SERVER_STORE_PACK_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/store/store.h"

namespace warmstart::store {

// 32 hexadecimal digits.
using PackId = std::string;

// A pack in the making. Dropping it before Publish leaves nothing behind. Not
// thread-safe.
class StagedPack {
 public:
  virtual ~StagedPack() = default;

  virtual const PackId& id() const = 0;

  // The file that it is, empty before the first Append, for what can only write
  // to a file: instead of Append, and before Finish.
  virtual std::string path() const = 0;

  virtual absl::Status Append(absl::string_view data) = 0;
  // `num_bytes` of zeros to write into, on the disk and not in memory; they are
  // there while this object lives. Instead of Append, and once.
  virtual absl::StatusOr<absl::Span<char>> MapForWriting(int64_t num_bytes) = 0;

  // Ends the appends and gives all bytes, readable while this object lives,
  // Publish or not. May be called again.
  virtual absl::StatusOr<absl::string_view> Finish() = 0;

  // Starts writing to the disk in the background, so that Publish finds little
  // left to do. Only after Finish, and not for a mapping.
  virtual void StartSync() = 0;

  // Makes the bytes durable and readable under id(). Call at most once, last.
  // RESOURCE_EXHAUSTED when the disk is full; on any error the pack is not
  // there.
  virtual absl::Status Publish() = 0;
};

// While it lives, the packs of its store stay.
class PackHold {
 public:
  virtual ~PackHold() = default;
};

// While it lives, a pack counts as being on its way into a catalog.
class PackLease {
 public:
  virtual ~PackLease() = default;
};

// A published pack, as its file is.
struct PackFile {
  PackId id;
  int64_t num_bytes = 0;
};

// Reads a pack whose bytes may be bad, and from the disk rather than from
// memory. What cannot be read is DATA_LOSS; through a mapping, as Read gives
// it, it would end the process. Not thread-safe.
class PackScanner {
 public:
  virtual ~PackScanner() = default;

  // Hands `num_bytes` at `offset` to `take`, in pieces and in their order.
  // DATA_LOSS where they are not all there; the status of `take` where that is
  // not OK.
  virtual absl::Status Scan(
      int64_t offset, int64_t num_bytes,
      absl::FunctionRef<absl::Status(absl::string_view)> take) = 0;
};

// Thread-safe. Outlives its StagedPacks, PackHolds and PackLeases.
class PackStore {
 public:
  virtual ~PackStore() = default;

  virtual absl::StatusOr<std::unique_ptr<StagedPack>> Stage() = 0;

  // What was published before this call survives a crash after it.
  virtual absl::Status Flush() = 0;

  // `num_bytes` at `offset` of a pack, not copied. DATA_LOSS when the pack is
  // not there or too short.
  virtual absl::StatusOr<BlobData> Read(const PackId& id, int64_t offset,
                                        int64_t num_bytes) = 0;

  // DATA_LOSS when the pack is not there.
  virtual absl::StatusOr<std::unique_ptr<PackScanner>> OpenForScan(
      const PackId& id) = 0;

  // For a pack that is staged and published elsewhere.
  virtual std::unique_ptr<PackLease> Expect(const PackId& id) = 0;

  // All published packs but those whose StagedPack or PackLease lives, which
  // may be on their way into a catalog. One of these that the catalog does not
  // know, when it is asked afterwards, is nobody's.
  virtual absl::StatusOr<std::vector<PackFile>> ListSettled() = 0;
  // DATA_LOSS when the pack is not there.
  virtual absl::StatusOr<int64_t> SizeOf(const PackId& id) = 0;

  // OK when there is no such pack. A crash may bring it back; then no catalog
  // knows it, and Sweep removes it again.
  virtual absl::Status Remove(const PackId& id) = 0;

  // Keeps all packs: what is to be removed meanwhile is removed when the last
  // hold ends, and what cannot be then, Sweep removes.
  virtual std::unique_ptr<PackHold> Hold() = 0;

  // Removes all packs that are not in `known`, and all that is staged. Only
  // while nothing is being staged.
  virtual absl::Status Sweep(const absl::flat_hash_set<PackId>& known) = 0;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_PACK_STORE_H_
