// BackupFolder: a backup on this machine's disk, and the next one that is being
// received into it.
//
//   folder = BackupFolder::Open(dir)
//   folder->Held()                         what the server need not send
//   folder->BeginPack / BeginCatalog
//     folder->Append ... folder->FinishFile(sha256)
//   folder->Commit(names)                  the new backup is there
//
// Until Commit the old backup stays as it is, and after it the new one is
// there: at every moment one of them is complete, whatever stops the process or
// the machine. Packs that were received stay for the next try.

#ifndef WARMSTART_CLIENT_CPP_BACKUP_BACKUP_FOLDER_H_
#define WARMSTART_CLIENT_CPP_BACKUP_BACKUP_FOLDER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/cpp/backup/backup_paths.h"
#include "client/cpp/backup/checksums.h"
#include "client/cpp/backup/folder_lock.h"
#include "client/cpp/backup/local_files.h"

namespace warmstart::client {

// Not thread-safe.
class BackupFolder {
 public:
  struct HeldPack {
    std::string name;
    int64_t num_bytes = 0;
    bool partial = false;
  };

  // Makes the folder where it is missing. `dir` does not end with a slash.
  //
  //   FAILED_PRECONDITION  a server has the folder open, or had; it has files
  //   of
  //                        a backup's names that are not one's; another backup
  //                        or restore uses it
  //   others               as the system says
  static absl::StatusOr<BackupFolder> Open(const std::string& dir);

  // The packs that are here, and those that were begun.
  absl::StatusOr<std::vector<HeldPack>> Held() const;
  // Whether it holds a complete backup, of a store with packs.
  bool has_packs_of_a_backup() const { return has_packs_of_a_backup_; }

  // DATA_LOSS where `name` is no pack's, or `offset` lies behind what is here.
  absl::Status BeginPack(const std::string& name, int64_t size, int64_t offset);
  absl::Status BeginCatalog(int64_t size);
  // DATA_LOSS where no file was begun, or it becomes longer than its size.
  absl::Status Append(absl::string_view bytes);
  // DATA_LOSS where it is not as long as it should be, or its SHA-256 is
  // another; then what was received of it is removed.
  absl::Status FinishFile(const std::string& sha256);

  // Lets go of the catalog, and of the file that is being received; what came
  // of a pack stays, for the next try.
  void StartOver();

  // Makes the catalog that was received, and the packs that it names, the
  // backup, and removes all other packs, of which it returns the number.
  absl::StatusOr<int> Commit(const absl::flat_hash_set<std::string>& packs);

 private:
  struct Receiving {
    std::string pack;  // "" for the catalog
    int64_t size = 0;
    GrowingFile file;
  };

  BackupFolder(BackupPaths paths, FolderLock lock)
      : paths_(std::move(paths)), lock_(std::move(lock)) {}

  absl::Status Begin(const std::string& pack, const std::string& path,
                     int64_t size, int64_t offset);
  // Of the file that is being received.
  std::string StagedPath() const;
  std::string Name() const;
  absl::Status CheckReceived(absl::string_view expected_sha256);
  absl::Status LoadChecksums();
  absl::StatusOr<Checksums> ChecksumsOf(
      const absl::flat_hash_set<std::string>& packs) const;
  absl::StatusOr<int> RemoveOthers(
      const absl::flat_hash_set<std::string>& packs) const;

  BackupPaths paths_;
  FolderLock lock_;
  bool has_packs_of_a_backup_ = false;
  // Of what is in packs/, where known, and of the catalog in staging/.
  Checksums known_;
  std::optional<Receiving> receiving_;
};

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_BACKUP_BACKUP_FOLDER_H_
