// Backup: all that the store holds at one moment, as the files of a data
// directory, less those that the receiver has.

#ifndef WARMSTART_SERVER_SERVICE_BACKUP_H_
#define WARMSTART_SERVER_SERVICE_BACKUP_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/model/digest.h"
#include "server/service/context.h"
#include "server/store/snapshot.h"
#include "server/store/store.h"

namespace warmstart::service {

// The packs that the receiver has.
class HeldPacks {
 public:
  // About 100 MB of memory.
  static constexpr size_t kMaxPacks = 1'000'000;

  // The first `num_bytes` of a pack, or, where it is not `partial`, all of it.
  // INVALID_ARGUMENT for a name or size that cannot be one, and for too many.
  absl::Status Add(absl::string_view name, int64_t num_bytes, bool partial);

  // Whether the receiver has all of `pack`.
  bool HasAll(const store::SnapshotPack& pack) const;
  // Where to go on with a pack that it has not.
  int64_t OffsetIn(const store::SnapshotPack& pack) const;

 private:
  struct Held {
    int64_t num_bytes = 0;
    bool partial = false;
  };

  absl::flat_hash_map<std::string, Held> packs_;
};

// A file that is sent.
struct BackupFile {
  std::string pack;  // its name; "" for the catalog
  int64_t num_bytes = 0;
  int64_t offset = 0;  // of what the receiver has not
};

// Gives one file after another, each front to back:
//
//   while (file = backup->NextFile()) {
//     while (bytes = backup->Read(n)) Send(bytes);
//     Send(backup->FinishFile());
//   }
//
// The store keeps what is in it for as long as it lives. Not thread-safe.
class Backup {
 public:
  // RESOURCE_EXHAUSTED when the disk has no space for a copy of the catalog.
  static absl::StatusOr<std::unique_ptr<Backup>> Begin(const Context& context,
                                                       const HeldPacks& held);

  // What was committed before is in it.
  absl::Time time() const { return snapshot_->time(); }
  int64_t num_packs() const {
    return static_cast<int64_t>(snapshot_->packs().size());
  }
  int64_t pack_bytes() const { return pack_bytes_; }
  int64_t catalog_bytes() const {
    return static_cast<int64_t>(snapshot_->catalog().size());
  }
  // What all Reads will give.
  int64_t bytes_to_send() const { return bytes_to_send_; }
  // Names of the packs that the receiver has already.
  const std::vector<std::string>& kept() const { return kept_; }

  // The packs that the receiver lacks, and then the catalog; nullopt at the
  // end. DATA_LOSS, naming it, for a pack that cannot be read.
  absl::StatusOr<std::optional<BackupFile>> NextFile();
  // The file's next bytes, at most `max_bytes`; empty at its end.
  absl::string_view Read(size_t max_bytes);
  // Of all bytes of the file, its beginning among them. Once, at its end.
  Digest FinishFile() { return hasher_.Finish(); }

 private:
  struct Missing {
    const store::SnapshotPack* pack;  // of the snapshot
    int64_t offset;
  };

  explicit Backup(std::unique_ptr<store::Snapshot> snapshot)
      : snapshot_(std::move(snapshot)) {}

  void Divide(const HeldPacks& held);
  void BeginFile(absl::string_view bytes, int64_t offset);

  const std::unique_ptr<store::Snapshot> snapshot_;
  int64_t pack_bytes_ = 0;
  int64_t bytes_to_send_ = 0;
  std::vector<std::string> kept_;
  std::vector<Missing> missing_;

  size_t next_ = 0;         // of missing_; its size stands for the catalog
  store::BlobData pack_;    // that is being read
  absl::string_view rest_;  // of the file
  Hasher hasher_;
};

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_BACKUP_H_
