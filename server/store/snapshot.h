// Snapshot: what a store held at one moment, for as long as this object lives.
// Nobody waits for it: others save and delete meanwhile. What they delete keeps
// its space on the disk until the last snapshot is gone.

#ifndef WARMSTART_SERVER_STORE_SNAPSHOT_H_
#define WARMSTART_SERVER_STORE_SNAPSHOT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/store/store.h"

namespace warmstart::store {

// A file of packs/.
struct SnapshotPack {
  std::string name;
  int64_t num_bytes = 0;
};

// Thread-safe. The store outlives it.
class Snapshot {
 public:
  virtual ~Snapshot() = default;

  // What was committed before is in it.
  virtual absl::Time time() const = 0;
  // The bytes of the file catalog.sqlite3 of a data directory with these packs.
  virtual absl::string_view catalog() const = 0;
  // All that the catalog names, oldest first.
  virtual const std::vector<SnapshotPack>& packs() const = 0;
  // All bytes of one of them. DATA_LOSS when it is gone or too short.
  virtual absl::StatusOr<BlobData> OpenPack(const SnapshotPack& pack) = 0;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SNAPSHOT_H_
