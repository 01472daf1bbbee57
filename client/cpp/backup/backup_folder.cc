#include "client/cpp/backup/backup_folder.h"

#include "absl/strings/str_cat.h"
#include "client/cpp/atomic_file.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

absl::Status WriteFile(const std::string& path, absl::string_view text) {
  CLIENT_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  CLIENT_RETURN_IF_ERROR(file.Append(text));
  return file.Commit();
}

bool IsThere(const std::string& path) {
  return !absl::IsNotFound(FileSize(path).status());
}

bool HasEntries(const std::string& folder) {
  const auto names = ListFolder(folder);
  return names.ok() && !names->empty();
}

// OK where `paths` is a backup, or nothing stands in the way of one.
absl::Status CheckFolder(const BackupPaths& paths) {
  if (IsThere(paths.ServerLock())) {
    return absl::FailedPreconditionError(absl::StrCat(
        paths.Dir(),
        " is the data directory of a server, which has it open or had; name "
        "another folder"));
  }
  if (IsThere(paths.Marker())) return absl::OkStatus();
  if (IsThere(paths.Catalog()) || IsThere(paths.Checksums()) ||
      HasEntries(paths.PacksDir()) || HasEntries(paths.StagingDir())) {
    return absl::FailedPreconditionError(absl::StrCat(
        paths.Dir(),
        " has files that a backup would replace, and no BACKUP that says that "
        "they are one's; name another folder"));
  }
  return absl::OkStatus();
}

// Adds what the packs of a folder have; names that are no pack's are nobody's
// business.
absl::Status AddHeld(const std::string& folder, bool partial,
                     std::vector<BackupFolder::HeldPack>& held) {
  CLIENT_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                          ListFolder(folder));
  for (const std::string& name : names) {
    if (!IsPackName(name)) continue;
    CLIENT_ASSIGN_OR_RETURN(const int64_t size,
                            FileSize(absl::StrCat(folder, "/", name)));
    held.push_back({name, size, partial});
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BackupFolder> BackupFolder::Open(const std::string& dir) {
  BackupPaths paths(dir);
  CLIENT_RETURN_IF_ERROR(MakeFolder(paths.Dir()));
  CLIENT_RETURN_IF_ERROR(CheckFolder(paths));
  CLIENT_ASSIGN_OR_RETURN(FolderLock lock, FolderLock::ForWriting(paths));
  CLIENT_RETURN_IF_ERROR(MakeFolder(paths.PacksDir()));
  CLIENT_RETURN_IF_ERROR(MakeFolder(paths.StagingDir()));
  BackupFolder folder(std::move(paths), std::move(lock));
  CLIENT_RETURN_IF_ERROR(folder.LoadChecksums());
  return folder;
}

// A pack has the same bytes in every backup, so whatever was written of it
// holds.
absl::Status BackupFolder::LoadChecksums() {
  for (const std::string& path : {paths_.Checksums(), paths_.NewChecksums()}) {
    absl::StatusOr<Checksums> read = ReadChecksums(path);
    if (absl::IsNotFound(read.status())) continue;
    CLIENT_RETURN_IF_ERROR(read.status());
    known_.packs.merge(read->packs);
  }
  has_packs_of_a_backup_ = IsThere(paths_.Catalog()) && !known_.packs.empty();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<BackupFolder::HeldPack>> BackupFolder::Held() const {
  std::vector<HeldPack> held;
  // Where a pack is in both, the server is told last what it can go on with.
  CLIENT_RETURN_IF_ERROR(AddHeld(paths_.StagingDir(), /*partial=*/true, held));
  CLIENT_RETURN_IF_ERROR(AddHeld(paths_.PacksDir(), /*partial=*/false, held));
  return held;
}

void BackupFolder::StartOver() {
  receiving_.reset();
  known_.catalog.clear();
}

absl::Status BackupFolder::BeginPack(const std::string& name, int64_t size,
                                     int64_t offset) {
  if (!IsPackName(name)) {
    return absl::DataLossError(
        absl::StrCat("the server sent '", name, "', which is no pack's name"));
  }
  return Begin(name, paths_.Staged(name), size, offset);
}

absl::Status BackupFolder::BeginCatalog(int64_t size) {
  return Begin("", paths_.StagedCatalog(), size, /*offset=*/0);
}

absl::Status BackupFolder::Begin(const std::string& pack,
                                 const std::string& path, int64_t size,
                                 int64_t offset) {
  if (receiving_.has_value()) {
    return absl::DataLossError(absl::StrCat("the server did not end ", Name()));
  }
  CLIENT_ASSIGN_OR_RETURN(GrowingFile file, GrowingFile::Open(path, offset));
  receiving_.emplace(Receiving{pack, size, std::move(file)});
  return absl::OkStatus();
}

absl::Status BackupFolder::Append(absl::string_view bytes) {
  if (!receiving_.has_value()) {
    return absl::DataLossError("the server sent bytes of no file");
  }
  const int64_t left = receiving_->size - receiving_->file.size();
  if (static_cast<int64_t>(bytes.size()) > left) {
    return absl::DataLossError(absl::StrCat("the server sent more of ", Name(),
                                            " than its ", receiving_->size,
                                            " bytes"));
  }
  return receiving_->file.Append(bytes);
}

absl::Status BackupFolder::FinishFile(const std::string& sha256) {
  if (!receiving_.has_value()) {
    return absl::DataLossError("the server ended a file that it did not begin");
  }
  const absl::Status received = CheckReceived(sha256);
  const std::string staged = StagedPath();
  const std::string pack = receiving_->pack;
  receiving_.reset();
  if (absl::IsDataLoss(received)) {
    // Nobody is to go on with it.
    CLIENT_RETURN_IF_ERROR(RemoveFile(staged));
  }
  CLIENT_RETURN_IF_ERROR(received);
  if (pack.empty()) {
    known_.catalog = sha256;
    return absl::OkStatus();
  }
  known_.packs[pack] = sha256;
  return RenameFile(staged, paths_.Pack(pack));
}

absl::Status BackupFolder::CheckReceived(absl::string_view expected_sha256) {
  if (receiving_->file.size() != receiving_->size) {
    return absl::DataLossError(
        absl::StrCat("the server sent ", receiving_->file.size(), " of the ",
                     receiving_->size, " bytes of ", Name()));
  }
  CLIENT_ASSIGN_OR_RETURN(const std::string sha256, receiving_->file.Finish());
  if (sha256 == expected_sha256) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(Name(), " has the SHA-256 ", sha256,
                                          " and not ", expected_sha256,
                                          "; it was removed, try again"));
}

absl::StatusOr<int> BackupFolder::Commit(
    const absl::flat_hash_set<std::string>& packs) {
  if (known_.catalog.empty() || receiving_.has_value()) {
    return absl::DataLossError("the server did not send the whole catalog");
  }
  CLIENT_ASSIGN_OR_RETURN(const Checksums checksums, ChecksumsOf(packs));
  CLIENT_RETURN_IF_ERROR(SyncFolder(paths_.PacksDir()));
  CLIENT_RETURN_IF_ERROR(WriteFile(paths_.NewChecksums(), ToText(checksums)));
  // From here on it is the new backup. Whoever reads one takes those checksums
  // of the two that fit its catalog.
  CLIENT_RETURN_IF_ERROR(RenameFile(paths_.StagedCatalog(), paths_.Catalog()));
  CLIENT_RETURN_IF_ERROR(SyncFolder(paths_.Dir()));
  CLIENT_RETURN_IF_ERROR(RenameFile(paths_.NewChecksums(), paths_.Checksums()));
  CLIENT_RETURN_IF_ERROR(SyncFolder(paths_.Dir()));
  return RemoveOthers(packs);
}

absl::StatusOr<Checksums> BackupFolder::ChecksumsOf(
    const absl::flat_hash_set<std::string>& packs) const {
  Checksums checksums{.catalog = known_.catalog};
  for (const std::string& name : packs) {
    if (const auto found = known_.packs.find(name);
        found != known_.packs.end()) {
      checksums.packs[name] = found->second;
      continue;
    }
    // Received whole, by a process that ended before it could write this down.
    CLIENT_ASSIGN_OR_RETURN(checksums.packs[name],
                            Sha256OfFile(paths_.Pack(name)));
  }
  return checksums;
}

absl::StatusOr<int> BackupFolder::RemoveOthers(
    const absl::flat_hash_set<std::string>& packs) const {
  CLIENT_ASSIGN_OR_RETURN(const std::vector<HeldPack> held, Held());
  int num_removed = 0;
  for (const HeldPack& pack : held) {
    if (!pack.partial && packs.contains(pack.name)) continue;
    CLIENT_RETURN_IF_ERROR(RemoveFile(pack.partial ? paths_.Staged(pack.name)
                                                   : paths_.Pack(pack.name)));
    if (!pack.partial) ++num_removed;
  }
  CLIENT_RETURN_IF_ERROR(SyncFolder(paths_.PacksDir()));
  return num_removed;
}

std::string BackupFolder::StagedPath() const {
  return receiving_->pack.empty() ? paths_.StagedCatalog()
                                  : paths_.Staged(receiving_->pack);
}

std::string BackupFolder::Name() const {
  return receiving_->pack.empty() ? std::string("the catalog")
                                  : absl::StrCat("pack ", receiving_->pack);
}

}  // namespace warmstart::client
