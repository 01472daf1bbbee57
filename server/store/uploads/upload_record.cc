#include "server/store/uploads/upload_record.h"

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace warmstart::store {
namespace {

absl::Status WriteNewFile(FileSystem& file_system, const StorePaths& paths,
                          const std::string& path, absl::string_view text) {
  ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file,
                   file_system.Create(path));
  RETURN_IF_ERROR(file->Append(text));
  RETURN_IF_ERROR(file->Sync());
  return file_system.SyncDirectory(paths.UploadsDir());
}

// That the bytes which the journal tells of are there.
absl::Status CheckBytes(FileSystem& file_system, const StorePaths& paths,
                        const UploadName& name,
                        absl::Span<const UploadFile> files) {
  for (size_t i = 0; i < files.size(); ++i) {
    if (files[i].committed_bytes == 0) continue;
    const std::string path = paths.Upload(BytesFile(name, i));
    const absl::StatusOr<int64_t> size = file_system.Size(path);
    if (!size.ok() && !absl::IsNotFound(size.status())) return size.status();
    if (!size.ok() || *size < files[i].committed_bytes ||
        files[i].committed_bytes > files[i].num_bytes) {
      return absl::DataLossError(
          absl::StrCat("'", path, "' has not the bytes that were received"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string JournalFile(const UploadName& name) {
  return absl::StrCat(name.id(), ".journal");
}

std::string BytesFile(const UploadName& name, int file) {
  return absl::StrCat(name.id(), ".", file);
}

UploadRecord::UploadRecord(FileSystem& file_system, const StorePaths& paths,
                           Quota& quota, const UploadName& name,
                           const UploadHistory& history)
    : file_system_(file_system),
      paths_(paths),
      name_(name),
      room_(quota),
      journal_bytes_(history.num_bytes),
      upload_{name, history.files, history.create_time},
      write_time_(history.write_time) {}

absl::StatusOr<std::shared_ptr<UploadRecord>> UploadRecord::Create(
    FileSystem& file_system, const StorePaths& paths, Quota& quota,
    std::vector<UploadFile> files, absl::Time now) {
  const UploadName name = UploadName::Random();
  const std::string line = CreatedLine(now, files);
  UploadHistory history;
  history.files = std::move(files);
  history.create_time = now;
  history.write_time = now;
  history.num_bytes = static_cast<int64_t>(line.size());
  auto record =
      std::make_shared<UploadRecord>(file_system, paths, quota, name, history);
  RETURN_IF_ERROR(record->room_.Grow(NumBytes(history.files)));
  const std::string path = paths.Upload(JournalFile(name));
  if (absl::Status status = WriteNewFile(file_system, paths, path, line);
      !status.ok()) {
    file_system.Remove(path).IgnoreError();
    return status;
  }
  return record;
}

absl::StatusOr<std::shared_ptr<UploadRecord>> UploadRecord::Load(
    FileSystem& file_system, const StorePaths& paths, Quota& quota,
    const UploadName& name, UploadHistory* history) {
  ASSIGN_OR_RETURN(const std::shared_ptr<MappedFile> journal,
                   file_system.Map(paths.Upload(JournalFile(name))));
  ASSIGN_OR_RETURN(*history, ReadUploadJournal(journal->bytes()));
  RETURN_IF_ERROR(CheckBytes(file_system, paths, name, history->files));
  auto record =
      std::make_shared<UploadRecord>(file_system, paths, quota, name, *history);
  record->room_.Insist(NumBytes(history->files));
  return record;
}

Upload UploadRecord::Snapshot(absl::Duration ttl) const {
  absl::MutexLock lock(&mutex_);
  Upload upload = upload_;
  upload.expire_time = write_time_ + ttl;
  return upload;
}

absl::Time UploadRecord::ExpireTime(absl::Duration ttl) const {
  absl::MutexLock lock(&mutex_);
  return write_time_ + ttl;
}

int64_t UploadRecord::CommittedBytesOf(int file) const {
  absl::MutexLock lock(&mutex_);
  return upload_.files[file].committed_bytes;
}

absl::Status UploadRecord::AddLine(absl::string_view line) {
  // Should it not be written as a whole, it must not count after a restart.
  absl::Cleanup cut_back = [this] {
    file_system_.OpenToAppend(JournalPath(), journal_bytes_)
        .status()
        .IgnoreError();
  };
  ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> journal,
                   file_system_.OpenToAppend(JournalPath(), journal_bytes_));
  RETURN_IF_ERROR(journal->Append(line));
  RETURN_IF_ERROR(journal->Sync());
  std::move(cut_back).Cancel();
  journal_bytes_ += static_cast<int64_t>(line.size());
  return absl::OkStatus();
}

absl::Status UploadRecord::Commit(absl::Span<const CommittedBytes> committed,
                                  absl::Time now) {
  RETURN_IF_ERROR(AddLine(CommittedLine(now, committed)));
  absl::MutexLock lock(&mutex_);
  for (const CommittedBytes& each : committed) {
    upload_.files[each.file].committed_bytes = each.num_bytes;
  }
  write_time_ = now;
  return absl::OkStatus();
}

void UploadRecord::RemoveFiles() {
  const size_t num_files = Snapshot(absl::ZeroDuration()).files.size();
  // The journal first: bytes without one are swept.
  file_system_.Remove(JournalPath()).IgnoreError();
  for (size_t i = 0; i < num_files; ++i) {
    file_system_.Remove(paths_.Upload(BytesFile(name_, i))).IgnoreError();
  }
}

bool UploadRecord::BeginLease() {
  absl::MutexLock lock(&mutex_);
  return !std::exchange(is_leased_, true);
}

void UploadRecord::EndLease() {
  absl::MutexLock lock(&mutex_);
  is_leased_ = false;
}

std::optional<UploadLease> UploadLease::Take(
    const std::shared_ptr<UploadRecord>& record) {
  if (!record->BeginLease()) return std::nullopt;
  return UploadLease(record);
}

UploadLease::~UploadLease() {
  if (record_ != nullptr) record_->EndLease();
}

}  // namespace warmstart::store
