#include "client/cpp/upload.h"

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "client/cpp/error.h"
#include "client/cpp/file_range.h"
#include "client/cpp/operation.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

// One attempt at the whole stream.
class UploadStream {
 public:
  UploadStream(v1::ModelInitializer::StubInterface& stub, Operation& operation,
               const ProgressCallback& progress, int64_t bytes_total)
      : operation_(operation),
        report_progress_(progress),
        progress_{.bytes_total = bytes_total} {
    operation.Prepare(context_);
    writer_ = stub.SaveModel(&context_, &response_);
  }

  absl::StatusOr<v1::SaveModelResponse> Run(
      const v1::SaveModelHeader& header, const std::vector<LocalFile>& files) {
    absl::Status local = SendAll(header, files);
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
  // Fails for local reasons alone. Where the server has already answered, a
  // failure or a repeated request_id's result, it stops early, and Finish
  // tells.
  absl::Status SendAll(const v1::SaveModelHeader& header,
                       const std::vector<LocalFile>& files) {
    *message_.mutable_header() = header;
    if (!writer_->Write(message_)) return absl::OkStatus();
    operation_.Reached();
    for (const LocalFile& file : files) {
      CLIENT_ASSIGN_OR_RETURN(const bool more, SendFile(file));
      if (!more) return absl::OkStatus();
    }
    writer_->WritesDone();
    return absl::OkStatus();
  }

  // Whether the server goes on listening.
  absl::StatusOr<bool> SendFile(const LocalFile& file) {
    message_.mutable_file()->set_name(file.name);
    message_.mutable_file()->set_size(file.size);
    if (!writer_->Write(message_)) return false;
    return ReadRange({.path = file.path, .size = file.size},
                     *message_.mutable_chunk(), [this] { return SendChunk(); });
  }

  bool SendChunk() {
    if (!writer_->Write(message_)) return false;
    progress_.bytes_done += message_.chunk().size();
    if (report_progress_) report_progress_(progress_);
    return true;
  }

  Operation& operation_;
  const ProgressCallback& report_progress_;
  Progress progress_;
  grpc::ClientContext context_;
  v1::SaveModelResponse response_;
  std::unique_ptr<grpc::ClientWriterInterface<v1::SaveModelRequest>> writer_;
  v1::SaveModelRequest message_;  // its chunk's buffer is used again and again
  bool local_failure_ = false;
};

}  // namespace

absl::StatusOr<v1::SaveModelResponse> Upload(
    v1::ModelInitializer::StubInterface& stub, const ClientOptions& options,
    const v1::SaveModelHeader& header, const std::vector<LocalFile>& files,
    const ProgressCallback& progress) {
  Operation operation(options);
  while (true) {
    UploadStream stream(stub, operation, progress, TotalSize(files));
    absl::StatusOr<v1::SaveModelResponse> response = stream.Run(header, files);
    if (response.ok() || stream.local_failure() ||
        !operation.ShouldRetry(response.status())) {
      return response;
    }
  }
}

}  // namespace warmstart::client
