#include "server/store/uploads/upload_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace warmstart::store {
namespace {

// What is sent again at most when the server is killed.
constexpr int64_t kCommitInterval = int64_t{64} << 20;
// Small files are committed together, with one line of the journal.
constexpr size_t kMaxOpenFiles = 64;

absl::Status WrongOffset(const UploadName& name, const UploadFile& file,
                         int index, int64_t offset, int64_t committed) {
  return WithErrorInfo(
      absl::OutOfRangeError(absl::StrCat(
          "offset: ", name.ToString(), " has ", committed, " bytes of file ",
          index, " ('", file.name, "'), not ", offset, "; go on from there")),
      reason::kUploadOffset,
      {{"upload", name.ToString()},
       {"file", absl::StrCat(index)},
       {"committed_bytes", absl::StrCat(committed)}});
}

}  // namespace

UploadWriter::UploadWriter(UploadLease lease, Clock& clock)
    : lease_(std::move(lease)),
      clock_(clock),
      files_(lease_->Snapshot(absl::ZeroDuration()).files) {}

absl::Status UploadWriter::Begin(int file, int64_t offset) {
  if (file < 0 || static_cast<size_t>(file) >= files_.size()) {
    return InvalidField(
        "file", absl::StrCat(lease_->name().ToString(), " has ", files_.size(),
                             " files, and none at position ", file));
  }
  const auto is_it = [file](const Open& open) { return open.file == file; };
  if (open_.size() >= kMaxOpenFiles || std::ranges::any_of(open_, is_it)) {
    RETURN_IF_ERROR(Commit());
  }
  const int64_t committed = lease_->CommittedBytesOf(file);
  if (offset != committed) {
    return WrongOffset(lease_->name(), files_[file], file, offset, committed);
  }
  open_.push_back({file, committed});
  return absl::OkStatus();
}

absl::Status UploadWriter::Append(absl::string_view bytes) {
  RETURN_IF_ERROR(disk_status_);
  if (bytes.empty()) return absl::OkStatus();
  if (open_.empty()) {
    return InvalidField("chunk", "comes before any file; send `begin` first");
  }
  const Open& open = open_.back();
  const UploadFile& file = files_[open.file];
  if (static_cast<int64_t>(bytes.size()) > file.num_bytes - open.num_bytes) {
    return InvalidField("chunk",
                        absl::StrCat("goes beyond the ", file.num_bytes,
                                     " bytes of file '", file.name, "'"));
  }
  disk_status_ = AppendToDisk(bytes);
  return disk_status_;
}

absl::Status UploadWriter::AppendToDisk(absl::string_view bytes) {
  Open& open = open_.back();
  if (open.bytes == nullptr) RETURN_IF_ERROR(OpenBytes(open));
  RETURN_IF_ERROR(open.bytes->Append(bytes));
  open.num_bytes += static_cast<int64_t>(bytes.size());
  uncommitted_ += static_cast<int64_t>(bytes.size());
  return uncommitted_ < kCommitInterval ? absl::OkStatus() : CommitToDisk();
}

absl::Status UploadWriter::OpenBytes(Open& open) {
  FileSystem& file_system = lease_->file_system();
  const std::string path =
      lease_->paths().Upload(BytesFile(lease_->name(), open.file));
  absl::StatusOr<std::unique_ptr<WritableFile>> bytes =
      file_system.OpenToAppend(path, open.num_bytes);
  if (open.num_bytes == 0) {
    // Also where it is there: whoever made it did not come to commit anything.
    open.has_new_name = true;
    if (absl::IsNotFound(bytes.status())) bytes = file_system.Create(path);
  }
  ASSIGN_OR_RETURN(open.bytes, std::move(bytes));
  return absl::OkStatus();
}

absl::Status UploadWriter::Commit() {
  RETURN_IF_ERROR(disk_status_);
  disk_status_ = CommitToDisk();
  if (disk_status_.ok()) open_.clear();
  return disk_status_;
}

absl::Status UploadWriter::CommitToDisk() {
  if (uncommitted_ == 0) return absl::OkStatus();
  std::vector<CommittedBytes> committed;
  bool has_new_name = false;
  for (const Open& open : open_) {
    if (open.bytes == nullptr) continue;
    RETURN_IF_ERROR(open.bytes->Sync());
    has_new_name |= open.has_new_name;
    committed.push_back({open.file, open.num_bytes});
  }
  if (has_new_name) {
    RETURN_IF_ERROR(
        lease_->file_system().SyncDirectory(lease_->paths().UploadsDir()));
  }
  RETURN_IF_ERROR(lease_->Commit(committed, clock_.Now()));
  uncommitted_ = 0;
  open_.erase(open_.begin(), open_.end() - 1);
  open_.back().has_new_name = false;
  return absl::OkStatus();
}

}  // namespace warmstart::store
