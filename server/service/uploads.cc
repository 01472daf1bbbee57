#include "server/service/uploads.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/service/disk_status.h"
#include "server/service/request_checks.h"
#include "server/store/uploads/upload_store.h"

namespace warmstart::service {
namespace {

// They are kept in memory while the upload lasts.
constexpr size_t kMaxNameBytes = size_t{1} << 20;

absl::Status CheckFiles(const std::vector<store::UploadFile>& files) {
  if (files.empty()) return InvalidField("files", "is required");
  int64_t num_bytes = 0;
  size_t name_bytes = 0;
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string field = absl::StrCat("files[", i, "]");
    RETURN_IF_ERROR(CheckFile(field, i, files[i].name, files[i].num_bytes));
    if (files[i].num_bytes > std::numeric_limits<int64_t>::max() - num_bytes) {
      return InvalidField(absl::StrCat(field, ".size"),
                          "makes more of all files together than can be");
    }
    num_bytes += files[i].num_bytes;
    name_bytes += files[i].name.size();
  }
  if (name_bytes <= kMaxNameBytes) return absl::OkStatus();
  return InvalidField("files", absl::StrCat("the names have ", name_bytes,
                                            " bytes together, at most ",
                                            kMaxNameBytes, " are allowed"));
}

absl::Status CheckSave(const Context& context, const SaveModelRequest& save) {
  if (!save.upload.empty()) {
    return InvalidField("header.upload", "must not be set yet");
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<SaveModel> begun,
                   SaveModel::Begin(context, save));
  if (!begun->earlier().has_value()) return absl::OkStatus();
  const std::string checkpoint = begun->earlier()->checkpoint.name.ToString();
  return WithErrorInfo(
      absl::AlreadyExistsError(absl::StrCat(
          "request_id '", save.options.request_id, "' was answered with ",
          checkpoint, "; nothing need be sent for it")),
      reason::kRequestAnswered, {{"checkpoint", checkpoint}});
}

}  // namespace

absl::StatusOr<store::Upload> CreateUpload(
    const Context& context, std::vector<store::UploadFile> files,
    const std::optional<SaveModelRequest>& save) {
  RETURN_IF_ERROR(CheckFiles(files));
  if (save.has_value()) RETURN_IF_ERROR(CheckSave(context, *save));
  return DiskStatus(context.store->uploads().Create(std::move(files)));
}

absl::StatusOr<store::Upload> QueryUpload(store::Store& store,
                                          absl::string_view name,
                                          bool with_digests) {
  ASSIGN_OR_RETURN(const store::UploadName parsed,
                   ParseUploadName("name", name));
  return with_digests ? store.uploads().GetWithDigests(parsed)
                      : store.uploads().Get(parsed);
}

absl::Status DeleteUpload(store::Store& store, absl::string_view name) {
  ASSIGN_OR_RETURN(const store::UploadName parsed,
                   ParseUploadName("name", name));
  return DiskStatus(store.uploads().Delete(parsed));
}

absl::Status WriteUpload::Begin(const std::string& upload, int file,
                                int64_t offset) {
  if (writer_ == nullptr) {
    ASSIGN_OR_RETURN(name_, ParseUploadName("upload", upload));
    ASSIGN_OR_RETURN(writer_, store_.uploads().Write(name_));
  } else if (!upload.empty() && upload != name_.ToString()) {
    return InvalidField("upload",
                        absl::StrCat("'", upload, "' is not ", name_.ToString(),
                                     ", which this stream is for"));
  }
  return DiskStatus(writer_->Begin(file, offset));
}

absl::Status WriteUpload::Append(absl::string_view bytes) {
  if (writer_ == nullptr) {
    return InvalidField("chunk", "comes before any file; send `begin` first");
  }
  return DiskStatus(writer_->Append(bytes));
}

absl::StatusOr<store::Upload> WriteUpload::Finish() {
  if (writer_ == nullptr) {
    return InvalidField("begin", "is required, as the first message");
  }
  RETURN_IF_ERROR(DiskStatus(writer_->Commit()));
  writer_.reset();  // others may write from here on
  return store_.uploads().Get(name_);
}

}  // namespace warmstart::service
