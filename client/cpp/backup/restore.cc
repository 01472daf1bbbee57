#include "client/cpp/backup/restore.h"

#include <unistd.h>

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/cpp/backup/backup_paths.h"
#include "client/cpp/backup/checksums.h"
#include "client/cpp/backup/folder_lock.h"
#include "client/cpp/backup/local_files.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

// The lost+found of a file system's root is nobody's.
constexpr absl::string_view kLostAndFound = "lost+found";

absl::Status NoBackup(const std::string& dir, absl::string_view why) {
  return absl::FailedPreconditionError(
      absl::StrCat(dir, " has no complete backup: ", why));
}

absl::Status CheckIsEmpty(const std::string& dir) {
  const auto names = ListFolder(dir);
  if (absl::IsNotFound(names.status())) return absl::OkStatus();
  CLIENT_RETURN_IF_ERROR(names.status());
  for (const std::string& name : *names) {
    if (name == kLostAndFound) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        dir, " is not empty: ", name, " is there; name a new folder"));
  }
  return absl::OkStatus();
}

absl::StatusOr<FolderLock> LockBackup(const BackupPaths& backup) {
  absl::StatusOr<FolderLock> lock = FolderLock::ForReading(backup);
  if (!absl::IsNotFound(lock.status())) return lock;
  return NoBackup(backup.Dir(), "it has no file BACKUP");
}

// Those that fit the catalog: a backup that was stopped at its very end has the
// new ones under another name.
absl::StatusOr<Checksums> FindChecksums(const BackupPaths& backup) {
  const absl::StatusOr<std::string> catalog = Sha256OfFile(backup.Catalog());
  if (absl::IsNotFound(catalog.status())) {
    return NoBackup(backup.Dir(), "it has no catalog.sqlite3");
  }
  CLIENT_RETURN_IF_ERROR(catalog.status());
  for (const std::string& path : {backup.Checksums(), backup.NewChecksums()}) {
    absl::StatusOr<Checksums> checksums = ReadChecksums(path);
    if (absl::IsNotFound(checksums.status())) continue;
    CLIENT_RETURN_IF_ERROR(checksums.status());
    if (checksums->catalog == *catalog) return checksums;
  }
  return absl::DataLossError(
      absl::StrCat(backup.Catalog(), " is not what its SHA256SUMS says"));
}

// The bytes of all files.
absl::StatusOr<int64_t> CheckComplete(const BackupPaths& backup,
                                      const Checksums& checksums) {
  CLIENT_ASSIGN_OR_RETURN(int64_t total, FileSize(backup.Catalog()));
  for (const auto& [name, digest] : checksums.packs) {
    const absl::StatusOr<int64_t> size = FileSize(backup.Pack(name));
    if (absl::IsNotFound(size.status())) {
      return absl::DataLossError(
          absl::StrCat(backup.Pack(name), " is missing from the backup"));
    }
    CLIENT_RETURN_IF_ERROR(size.status());
    total += *size;
  }
  return total;
}

// Copies into an empty data directory.
class Copier {
 public:
  Copier(const BackupPaths& backup, const BackupPaths& data, int64_t total,
         const ProgressCallback& progress)
      : backup_(backup),
        data_(data),
        progress_{.bytes_total = total},
        report_progress_(progress) {}

  absl::Status Copy(const Checksums& checksums) {
    CLIENT_RETURN_IF_ERROR(MakeFolder(data_.Dir()));
    CLIENT_ASSIGN_OR_RETURN(const FolderLock lock, FolderLock::AsServer(data_));
    absl::Cleanup remove = [&] { Remove(checksums); };
    CLIENT_RETURN_IF_ERROR(MakeFolder(data_.PacksDir()));
    CLIENT_RETURN_IF_ERROR(MakeFolder(data_.StagingDir()));
    for (const auto& [name, digest] : checksums.packs) {
      CLIENT_RETURN_IF_ERROR(
          CopyFile(backup_.Pack(name), data_.Pack(name), digest));
    }
    CLIENT_RETURN_IF_ERROR(SyncFolder(data_.PacksDir()));
    CLIENT_RETURN_IF_ERROR(
        CopyFile(backup_.Catalog(), data_.StagedCatalog(), checksums.catalog));
    CLIENT_RETURN_IF_ERROR(RenameFile(data_.StagedCatalog(), data_.Catalog()));
    CLIENT_RETURN_IF_ERROR(SyncFolder(data_.Dir()));
    std::move(remove).Cancel();
    return absl::OkStatus();
  }

 private:
  absl::Status CopyFile(const std::string& from, const std::string& to,
                        const std::string& sha256) {
    CLIENT_ASSIGN_OR_RETURN(GrowingFile file,
                            GrowingFile::Open(to, /*offset=*/0));
    CLIENT_RETURN_IF_ERROR(
        ReadPieces(from, /*num_bytes=*/-1, [&](absl::string_view piece) {
          progress_.bytes_done += static_cast<int64_t>(piece.size());
          if (report_progress_) report_progress_(progress_);
          return file.Append(piece);
        }));
    CLIENT_ASSIGN_OR_RETURN(const std::string copied, file.Finish());
    if (copied == sha256) return absl::OkStatus();
    return absl::DataLossError(
        absl::StrCat(from, " has the SHA-256 ", copied, " and not ", sha256,
                     ", as it had when it was received"));
  }

  // The folder was empty, so that all of it is ours. What cannot be removed is
  // packs without a catalog, on which no server starts.
  void Remove(const Checksums& checksums) {
    RemoveFile(data_.Catalog()).IgnoreError();
    RemoveFile(data_.StagedCatalog()).IgnoreError();
    for (const auto& [name, digest] : checksums.packs) {
      RemoveFile(data_.Pack(name)).IgnoreError();
    }
    rmdir(data_.PacksDir().c_str());
    rmdir(data_.StagingDir().c_str());
    RemoveFile(data_.ServerLock()).IgnoreError();
  }

  const BackupPaths& backup_;
  const BackupPaths& data_;
  Progress progress_;
  const ProgressCallback& report_progress_;
};

}  // namespace

absl::StatusOr<Restored> RestoreBackup(const std::string& dir,
                                       const std::string& data_dir,
                                       const ProgressCallback& progress) {
  const BackupPaths backup(WithoutSlashes(dir));
  const BackupPaths data(WithoutSlashes(data_dir));
  CLIENT_RETURN_IF_ERROR(CheckIsEmpty(data.Dir()));
  CLIENT_ASSIGN_OR_RETURN(const FolderLock lock, LockBackup(backup));
  CLIENT_ASSIGN_OR_RETURN(const Checksums checksums, FindChecksums(backup));
  CLIENT_ASSIGN_OR_RETURN(const int64_t total,
                          CheckComplete(backup, checksums));
  CLIENT_RETURN_IF_ERROR(Copier(backup, data, total, progress).Copy(checksums));
  return Restored{.packs = static_cast<int64_t>(checksums.packs.size()),
                  .size = total};
}

}  // namespace warmstart::client
