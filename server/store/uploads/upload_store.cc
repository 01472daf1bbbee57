#include "server/store/uploads/upload_store.h"

#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/store/page_token.h"

namespace warmstart::store {
namespace {

constexpr absl::string_view kJournal = "journal";

absl::Status NotFound(const UploadName& name) {
  return WithErrorInfo(
      absl::NotFoundError(absl::StrCat("there is no ", name.ToString(),
                                       "; it may have become a checkpoint, or "
                                       "expired")),
      reason::kUploadNotFound, {{"upload", name.ToString()}});
}

absl::Status Busy(const UploadName& name) {
  return WithErrorInfo(absl::AbortedError(absl::StrCat(
                           name.ToString(),
                           " is being written or saved by another request; try "
                           "again when that has ended")),
                       reason::kUploadBusy, {{"upload", name.ToString()}});
}

absl::Status TooMany() {
  return WithErrorInfo(
      absl::ResourceExhaustedError(absl::StrCat(
          UploadStore::kMaxUploads,
          " uploads are under way, which is all that the server keeps; delete "
          "those that nobody goes on with, or wait until they expire")),
      reason::kTooManyUploads);
}

absl::Status CheckComplete(const TakenUpload& upload) {
  const std::vector<UploadFile> files = upload.files();
  for (size_t i = 0; i < files.size(); ++i) {
    const UploadFile& file = files[i];
    if (file.committed_bytes == file.num_bytes) continue;
    return WithErrorInfo(
        absl::FailedPreconditionError(absl::StrCat(
            upload.name().ToString(), " has ", file.committed_bytes, " of the ",
            file.num_bytes, " bytes of file ", i, " ('", file.name,
            "'); write the others first")),
        reason::kUploadIncomplete,
        {{"upload", upload.name().ToString()},
         {"file", absl::StrCat(i)},
         {"committed_bytes", absl::StrCat(file.committed_bytes)}});
  }
  return absl::OkStatus();
}

// A file in uploads/ that has a name of ours.
struct OwnFile {
  UploadName upload;
  std::optional<int> position;  // not of a journal
};

std::optional<OwnFile> ParseFile(const std::string& file) {
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(file, absl::MaxSplits('.', 1));
  const auto name = UploadName::Parse(absl::StrCat("uploads/", parts.first));
  if (!name.ok()) return std::nullopt;
  if (parts.second == kJournal) return OwnFile{*name, std::nullopt};
  int position = 0;
  if (!absl::SimpleAtoi(parts.second, &position) ||
      BytesFile(*name, position) != file) {
    return std::nullopt;
  }
  return OwnFile{*name, position};
}

}  // namespace

absl::StatusOr<std::unique_ptr<UploadStore>> UploadStore::Open(
    const StorePaths& paths, FileSystem& file_system, Quota& quota,
    Clock& clock, absl::Duration ttl) {
  RETURN_IF_ERROR(file_system.CreateDirectory(paths.UploadsDir()));
  return std::unique_ptr<UploadStore>(
      new UploadStore(paths, file_system, quota, clock, ttl));
}

UploadStore::UploadStore(const StorePaths& paths, FileSystem& file_system,
                         Quota& quota, Clock& clock, absl::Duration ttl)
    : paths_(paths),
      file_system_(file_system),
      quota_(quota),
      clock_(clock),
      ttl_(ttl) {}

absl::Status UploadStore::Recover(
    absl::FunctionRef<absl::StatusOr<bool>(const CheckpointName&)> exists) {
  ASSIGN_OR_RETURN(const std::vector<std::string> files,
                   file_system_.List(paths_.UploadsDir()));
  for (const std::string& file : files) {
    const std::optional<OwnFile> own = ParseFile(file);
    if (!own.has_value() || own->position.has_value()) continue;
    RETURN_IF_ERROR(Restore(own->upload, exists));
  }
  for (const std::string& file : files) {
    if (IsOfNoUpload(file)) {
      RETURN_IF_ERROR(file_system_.Remove(paths_.Upload(file)));
    }
  }
  return absl::OkStatus();
}

absl::Status UploadStore::Restore(
    const UploadName& name,
    absl::FunctionRef<absl::StatusOr<bool>(const CheckpointName&)> exists) {
  UploadHistory history;
  absl::StatusOr<Record> record =
      UploadRecord::Load(file_system_, paths_, quota_, name, &history);
  if (absl::IsDataLoss(record.status())) return absl::OkStatus();
  RETURN_IF_ERROR(record.status());
  if (history.is_deleted || HasExpired(**record)) return absl::OkStatus();
  for (const CheckpointName& checkpoint : history.taken_for) {
    ASSIGN_OR_RETURN(const bool has_become_it, exists(checkpoint));
    if (has_become_it) return absl::OkStatus();
  }
  absl::MutexLock lock(&mutex_);
  records_.emplace(name, *std::move(record));
  return absl::OkStatus();
}

bool UploadStore::IsOfNoUpload(const std::string& file) const {
  const std::optional<OwnFile> own = ParseFile(file);
  if (!own.has_value()) return false;  // somebody else's
  absl::MutexLock lock(&mutex_);
  return records_.count(own->upload) == 0;
}

absl::StatusOr<Upload> UploadStore::Create(std::vector<UploadFile> files) {
  SweepExpired();
  if (IsFull()) return TooMany();
  RETURN_IF_ERROR(quota_.CheckOneMore());
  RETURN_IF_ERROR(quota_.CheckUpload(NumBytes(files)));
  ASSIGN_OR_RETURN(const Record record,
                   UploadRecord::Create(file_system_, paths_, quota_,
                                        std::move(files), clock_.Now()));
  if (!Insert(record)) {
    record->RemoveFiles();
    return TooMany();
  }
  return record->Snapshot(ttl_);
}

absl::StatusOr<Upload> UploadStore::Get(const UploadName& name) {
  SweepExpired();
  absl::MutexLock lock(&mutex_);
  const auto found = records_.find(name);
  if (found == records_.end()) return NotFound(name);
  return found->second->Snapshot(ttl_);
}

absl::StatusOr<Upload> UploadStore::GetWithDigests(const UploadName& name) {
  ASSIGN_OR_RETURN(const UploadLease lease, Lease(name));
  Upload upload = lease->Snapshot(ttl_);
  for (size_t i = 0; i < upload.files.size(); ++i) {
    UploadFile& file = upload.files[i];
    if (file.committed_bytes == 0) {
      file.digest = Digest::Of("");
      continue;
    }
    ASSIGN_OR_RETURN(const std::shared_ptr<MappedFile> bytes,
                     file_system_.Map(paths_.Upload(BytesFile(name, i))));
    file.digest = Digest::Of(bytes->bytes().substr(0, file.committed_bytes));
  }
  return upload;
}

absl::StatusOr<UploadPage> UploadStore::List(int page_size,
                                             const std::string& page_token) {
  SweepExpired();
  const ListingId listing = {"uploads"};
  ASSIGN_OR_RETURN(const size_t limit, EffectivePageSize(page_size));
  std::string after;
  if (!page_token.empty()) {
    ASSIGN_OR_RETURN(after, DecodePageToken(listing, page_token));
  }
  UploadPage page;
  absl::MutexLock lock(&mutex_);
  for (const auto& [name, record] : records_) {
    if (name.id() <= after) continue;
    if (page.uploads.size() == limit) {
      page.next_page_token =
          EncodePageToken(listing, page.uploads.back().name.id());
      break;
    }
    page.uploads.push_back(record->Snapshot(ttl_));
  }
  return page;
}

absl::StatusOr<std::unique_ptr<UploadWriter>> UploadStore::Write(
    const UploadName& name) {
  ASSIGN_OR_RETURN(UploadLease lease, Lease(name));
  return std::make_unique<UploadWriter>(std::move(lease), clock_);
}

absl::Status UploadStore::Delete(const UploadName& name) {
  ASSIGN_OR_RETURN(const UploadLease lease, Lease(name));
  RETURN_IF_ERROR(lease->AddLine(DeletedLine()));
  Forget(name);
  lease->RemoveFiles();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<TakenUpload>> UploadStore::Take(
    const UploadName& name) {
  ASSIGN_OR_RETURN(UploadLease lease, Lease(name));
  auto taken = std::make_unique<TakenUpload>(std::move(lease));
  RETURN_IF_ERROR(CheckComplete(*taken));
  return taken;
}

void UploadStore::Remove(std::unique_ptr<TakenUpload> taken) {
  Forget(taken->name());
  taken->lease_->RemoveFiles();
}

void UploadStore::SweepExpired() {
  std::vector<UploadLease> expired;
  {
    absl::MutexLock lock(&mutex_);
    std::erase_if(records_, [&](const auto& entry) {
      if (!HasExpired(*entry.second)) return false;
      // One that is written or saved is not abandoned.
      std::optional<UploadLease> lease = UploadLease::Take(entry.second);
      if (!lease.has_value()) return false;
      expired.push_back(*std::move(lease));
      return true;
    });
  }
  for (const UploadLease& lease : expired) lease->RemoveFiles();
}

absl::StatusOr<UploadLease> UploadStore::Lease(const UploadName& name) {
  SweepExpired();
  absl::MutexLock lock(&mutex_);
  const auto found = records_.find(name);
  if (found == records_.end()) return NotFound(name);
  std::optional<UploadLease> lease = UploadLease::Take(found->second);
  if (!lease.has_value()) return Busy(name);
  return *std::move(lease);
}

bool UploadStore::IsFull() const {
  absl::MutexLock lock(&mutex_);
  return records_.size() >= kMaxUploads;
}

bool UploadStore::Insert(const Record& record) {
  absl::MutexLock lock(&mutex_);
  if (records_.size() >= kMaxUploads) return false;
  records_.emplace(record->name(), record);
  return true;
}

void UploadStore::Forget(const UploadName& name) {
  absl::MutexLock lock(&mutex_);
  records_.erase(name);
}

bool UploadStore::HasExpired(const UploadRecord& record) const {
  return record.ExpireTime(ttl_) <= clock_.Now();
}

}  // namespace warmstart::store
