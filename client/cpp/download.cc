#include "client/cpp/download.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cpp/error.h"
#include "client/cpp/operation.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

// A download over all of its attempts.
class DownloadState {
 public:
  DownloadState(v1::DownloadCheckpointRequest request, const ByteSink& sink,
                const ProgressCallback& progress)
      : sink_(sink), report_progress_(progress), request_(std::move(request)) {}

  // One attempt, from where the last one stopped. `local` is set where it
  // failed for what was received or for the sink, rather than by the server's
  // answer.
  absl::Status Attempt(v1::Checkpoints::StubInterface& stub,
                       Operation& operation, bool& local) {
    grpc::ClientContext context;
    operation.Prepare(context);
    request_.set_offset(received_);
    const auto reader = stub.DownloadCheckpoint(&context, request_);
    first_message_ = true;
    v1::DownloadCheckpointResponse message;
    while (reader->Read(&message)) {
      operation.Reached();
      if (absl::Status status = Take(message); !status.ok()) {
        local = true;
        context.TryCancel();
        reader->Finish().IgnoreError();
        return status;
      }
      if (!message.chunk().empty()) operation.Advanced();
    }
    CLIENT_RETURN_IF_ERROR(FromGrpcStatus(reader->Finish()));
    local = true;
    return CheckComplete();
  }

  Downloaded Result() && {
    Downloaded result{.checkpoint = request_.name(), .size = received_};
    for (const v1::DownloadPart& part : request_.parts()) {
      result.parts.push_back(part.checkpoint());
    }
    return result;
  }

 private:
  absl::Status Take(const v1::DownloadCheckpointResponse& message) {
    if (std::exchange(first_message_, false)) {
      CLIENT_RETURN_IF_ERROR(TakeBeginning(message));
    }
    const int64_t size = message.chunk().size();
    if (size > *file_size_ - received_) {
      return absl::DataLossError(absl::StrCat("the server sent more than the ",
                                              *file_size_,
                                              " bytes that it had announced"));
    }
    CLIENT_RETURN_IF_ERROR(sink_(message.chunk()));
    received_ += size;
    if (report_progress_) {
      report_progress_({.bytes_done = received_, .bytes_total = *file_size_});
    }
    return absl::OkStatus();
  }

  absl::Status TakeBeginning(const v1::DownloadCheckpointResponse& message) {
    if (!message.has_file_size()) {
      return absl::DataLossError("the server did not tell the file's size");
    }
    if (file_size_.has_value() && *file_size_ != message.file_size()) {
      return absl::DataLossError(absl::StrCat(
          "the file had ", *file_size_, " bytes when the download began and ",
          message.file_size(), " when it was resumed"));
    }
    file_size_ = message.file_size();
    if (!message.checkpoint().empty()) request_.set_name(message.checkpoint());
    return Pin(message.part_checkpoints());
  }

  // What is resumed is what was begun, wherever aliases point by then.
  absl::Status Pin(
      const google::protobuf::RepeatedPtrField<std::string>& checkpoints) {
    if (checkpoints.size() != request_.parts_size()) {
      return absl::DataLossError(absl::StrCat(
          "the server sent ", checkpoints.size(), " checkpoints in one file, ",
          request_.parts_size(), " were asked for"));
    }
    for (int i = 0; i < checkpoints.size(); ++i) {
      request_.mutable_parts(i)->set_checkpoint(checkpoints[i]);
    }
    return absl::OkStatus();
  }

  absl::Status CheckComplete() const {
    if (file_size_.has_value() && received_ == *file_size_) {
      return absl::OkStatus();
    }
    return absl::DataLossError(
        absl::StrCat("the server sent ", received_, " bytes of ",
                     file_size_.value_or(0), " and ended the stream"));
  }

  const ByteSink& sink_;
  const ProgressCallback& report_progress_;
  v1::DownloadCheckpointRequest request_;
  std::optional<int64_t> file_size_;
  int64_t received_ = 0;
  bool first_message_ = true;  // of this attempt
};

}  // namespace

absl::StatusOr<Downloaded> Download(v1::Checkpoints::StubInterface& stub,
                                    const ClientOptions& options,
                                    v1::DownloadCheckpointRequest request,
                                    const ByteSink& sink,
                                    const ProgressCallback& progress) {
  Operation operation(options);
  DownloadState state(std::move(request), sink, progress);
  while (true) {
    bool local = false;
    const absl::Status status = state.Attempt(stub, operation, local);
    if (status.ok()) return std::move(state).Result();
    if (local || !operation.ShouldRetry(status)) return status;
  }
}

}  // namespace warmstart::client
