#include "client/cpp/resumable_upload.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/cpp/error.h"
#include "client/cpp/file_range.h"
#include "client/cpp/operation.h"
#include "client/cpp/prefix_digest.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

// A server that was left in the middle of a stream needs up to a minute and a
// half to notice; until then it takes the upload for busy.
constexpr int kMaxBusyPauses = 120;
constexpr absl::Duration kBusyPause = absl::Seconds(1);

int64_t CommittedBytes(const v1::Upload& upload) {
  int64_t bytes = 0;
  for (const v1::UploadFile& file : upload.files()) {
    bytes += file.committed_bytes();
  }
  return bytes;
}

// That what is to be resumed is an upload of these files.
absl::Status CheckIsOf(const v1::Upload& upload,
                       const std::vector<LocalFile>& files) {
  const bool same = std::equal(
      files.begin(), files.end(), upload.files().begin(), upload.files().end(),
      [](const auto& local, const auto& sent) {
        return local.name == sent.name() && local.size == sent.size();
      });
  if (!same) {
    return absl::FailedPreconditionError(
        absl::StrCat(upload.name(),
                     " was begun for files of other names or sizes; save these "
                     "without resuming it"));
  }
  for (size_t i = 0; i < files.size(); ++i) {
    const v1::UploadFile& sent = upload.files(static_cast<int>(i));
    CLIENT_ASSIGN_OR_RETURN(const std::string digest,
                            PrefixDigest(files[i], sent.committed_bytes()));
    if (digest == sent.committed_sha256()) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(files[i].path, " has changed since ", upload.name(),
                     " was begun; save it without resuming that"));
  }
  return absl::OkStatus();
}

// One stream of WriteUpload.
class WriteAttempt {
 public:
  WriteAttempt(v1::Uploads::StubInterface& stub, const Operation& operation,
               const ProgressCallback& progress, int64_t bytes_total)
      : report_progress_(progress), progress_{.bytes_total = bytes_total} {
    operation.Prepare(context_);
    writer_ = stub.WriteUpload(&context_, &response_);
  }

  // Sends what `upload` has not, and returns it as it is then.
  absl::StatusOr<v1::Upload> Run(const v1::Upload& upload,
                                 const std::vector<LocalFile>& files) {
    progress_.bytes_done = CommittedBytes(upload);
    absl::Status local = SendRest(upload, files);
    if (!local.ok()) context_.TryCancel();
    const absl::Status remote = FromGrpcStatus(writer_->Finish());
    if (!local.ok()) {
      local_failure_ = true;
      return local;
    }
    if (!remote.ok()) return remote;
    return std::move(response_);
  }

  // Whether Run failed for a reason that is not the server's or the network's.
  bool local_failure() const { return local_failure_; }

 private:
  // Fails for local reasons alone; what the server says, Finish tells.
  absl::Status SendRest(const v1::Upload& upload,
                        const std::vector<LocalFile>& files) {
    for (size_t i = 0; i < files.size(); ++i) {
      const int64_t offset =
          upload.files(static_cast<int>(i)).committed_bytes();
      if (offset == files[i].size) continue;
      v1::UploadPosition& begin = *message_.mutable_begin();
      begin.set_upload(upload.name());
      begin.set_file(static_cast<int>(i));
      begin.set_offset(offset);
      if (!writer_->Write(message_)) return absl::OkStatus();
      CLIENT_ASSIGN_OR_RETURN(const bool more, SendFile(files[i], offset));
      if (!more) return absl::OkStatus();
    }
    writer_->WritesDone();
    return absl::OkStatus();
  }

  // Whether the server goes on listening.
  absl::StatusOr<bool> SendFile(const LocalFile& file, int64_t offset) {
    return ReadRange({file.path, offset, file.size - offset},
                     *message_.mutable_chunk(), [this] { return SendChunk(); });
  }

  bool SendChunk() {
    if (!writer_->Write(message_)) return false;
    progress_.bytes_done += message_.chunk().size();
    if (report_progress_) report_progress_(progress_);
    return true;
  }

  const ProgressCallback& report_progress_;
  Progress progress_;
  grpc::ClientContext context_;
  v1::Upload response_;
  std::unique_ptr<grpc::ClientWriterInterface<v1::WriteUploadRequest>> writer_;
  v1::WriteUploadRequest
      message_;  // its chunk's buffer is used again and again
  bool local_failure_ = false;
};

// An upload over all of its attempts.
class Uploader {
 public:
  Uploader(v1::Uploads::StubInterface& uploads,
           v1::ModelInitializer::StubInterface& models,
           const ClientOptions& options, const std::vector<LocalFile>& files,
           const ProgressCallback& progress)
      : uploads_(uploads),
        models_(models),
        options_(options),
        files_(files),
        progress_(progress),
        operation_(options) {}

  absl::StatusOr<v1::SaveModelResponse> Run(v1::SaveModelHeader header,
                                            const UploadOptions& options) {
    const absl::Status begun =
        options.resume.empty() ? Create(header) : Resume(options.resume);
    // The answer to that request is there to be asked for.
    if (absl::IsAlreadyExists(begun)) return Save(header);
    CLIENT_RETURN_IF_ERROR(begun);
    if (options.on_begin) options.on_begin(upload_.name());
    CLIENT_RETURN_IF_ERROR(SendRest());
    header.set_upload(upload_.name());
    absl::StatusOr<v1::SaveModelResponse> response = Save(header);
    if (GetErrorDetails(response.status()).reason == "INVALID_FILE") Delete();
    return response;
  }

 private:
  absl::Status Create(const v1::SaveModelHeader& header) {
    v1::CreateUploadRequest request;
    *request.mutable_header() = header;
    for (const LocalFile& file : files_) {
      v1::UploadFile* sent = request.add_files();
      sent->set_name(file.name);
      sent->set_size(file.size);
    }
    CLIENT_ASSIGN_OR_RETURN(
        upload_, Call(&v1::Uploads::StubInterface::CreateUpload, request));
    return absl::OkStatus();
  }

  absl::Status Resume(const std::string& name) {
    v1::QueryUploadRequest request;
    request.set_name(name);
    request.set_digests(true);
    CLIENT_ASSIGN_OR_RETURN(
        upload_, Call(&v1::Uploads::StubInterface::QueryUpload, request));
    return CheckIsOf(upload_, files_);
  }

  absl::Status SendRest() {
    const int64_t size = TotalSize(files_);
    while (CommittedBytes(upload_) < size) {
      WriteAttempt attempt(uploads_, operation_, progress_, size);
      absl::StatusOr<v1::Upload> upload = attempt.Run(upload_, files_);
      if (upload.ok()) {
        upload_ = *std::move(upload);
        continue;
      }
      if (attempt.local_failure() || !GoesOn(upload.status())) {
        return upload.status();
      }
      CLIENT_RETURN_IF_ERROR(Query());
    }
    return absl::OkStatus();
  }

  absl::Status Query() {
    v1::QueryUploadRequest request;
    request.set_name(upload_.name());
    CLIENT_ASSIGN_OR_RETURN(
        v1::Upload now,
        Call(&v1::Uploads::StubInterface::QueryUpload, request));
    if (CommittedBytes(now) > CommittedBytes(upload_)) operation_.Advanced();
    upload_ = std::move(now);
    return absl::OkStatus();
  }

  absl::StatusOr<v1::SaveModelResponse> Save(
      const v1::SaveModelHeader& header) {
    v1::SaveModelRequest message;
    *message.mutable_header() = header;
    while (true) {
      grpc::ClientContext context;
      operation_.Prepare(context);
      v1::SaveModelResponse response;
      const auto writer = models_.SaveModel(&context, &response);
      writer->Write(message);
      writer->WritesDone();
      const absl::Status status = FromGrpcStatus(writer->Finish());
      if (status.ok()) return response;
      if (!GoesOn(status)) return status;
    }
  }

  // As much as can be done: otherwise it expires.
  void Delete() {
    grpc::ClientContext context;
    operation_.Prepare(context);
    v1::DeleteUploadRequest request;
    request.set_name(upload_.name());
    google::protobuf::Empty response;
    uploads_.DeleteUpload(&context, request, &response);
  }

  template <typename Request>
  absl::StatusOr<v1::Upload> Call(
      grpc::Status (v1::Uploads::StubInterface::*method)(grpc::ClientContext*,
                                                         const Request&,
                                                         v1::Upload*),
      const Request& request) {
    while (true) {
      grpc::ClientContext context;
      operation_.Prepare(context);
      v1::Upload upload;
      const absl::Status status =
          FromGrpcStatus((uploads_.*method)(&context, request, &upload));
      if (status.ok()) {
        operation_.Reached();
        return upload;
      }
      if (!GoesOn(status)) return status;
    }
  }

  // Whether to go on after `failure`. If so, it has made a pause.
  bool GoesOn(const absl::Status& failure) {
    const std::string reason = GetErrorDetails(failure).reason;
    if (reason == "UPLOAD_BUSY") {
      if (++busy_pauses_ > kMaxBusyPauses) return false;
      options_.sleep(kBusyPause);
      return true;
    }
    // The server had kept more than it said when it was asked; or it goes down,
    // and ends its calls.
    if (reason == "UPLOAD_OFFSET" || absl::IsCancelled(failure)) {
      return operation_.ShouldRetry(absl::UnavailableError(failure.message()));
    }
    return operation_.ShouldRetry(failure);
  }

  v1::Uploads::StubInterface& uploads_;
  v1::ModelInitializer::StubInterface& models_;
  const ClientOptions& options_;
  const std::vector<LocalFile>& files_;
  const ProgressCallback& progress_;
  Operation operation_;
  v1::Upload upload_;  // as the server told it last
  int busy_pauses_ = 0;
};

}  // namespace

absl::StatusOr<v1::SaveModelResponse> ResumableUpload(
    v1::Uploads::StubInterface& uploads,
    v1::ModelInitializer::StubInterface& models, const ClientOptions& options,
    const v1::SaveModelHeader& header, const std::vector<LocalFile>& files,
    const UploadOptions& upload_options, const ProgressCallback& progress) {
  return Uploader(uploads, models, options, files, progress)
      .Run(header, upload_options);
}

}  // namespace warmstart::client
