#include "client/cpp/tensor_download.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/cpp/error.h"
#include "client/cpp/operation.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr size_t kMaxDigests = 10000;  // of DownloadTensors

// A download over all of its attempts.
class TensorDownload {
 public:
  TensorDownload(const std::string& checkpoint,
                 const std::vector<std::string>& digests, TensorSink& sink)
      : checkpoint_(checkpoint), digests_(digests), sink_(sink) {}

  bool done() const { return next_ == digests_.size(); }

  // One attempt at the next tensors. `local` is set where it failed for what
  // was received or for the sink, rather than by the server's answer.
  absl::Status Attempt(v1::Checkpoints::StubInterface& stub,
                       Operation& operation, bool& local) {
    grpc::ClientContext context;
    operation.Prepare(context);
    const auto reader = stub.DownloadTensors(&context, NextRequest());
    is_open_ = false;
    v1::DownloadTensorsResponse message;
    while (reader->Read(&message)) {
      operation.Reached();
      if (absl::Status status = Take(message, operation); !status.ok()) {
        local = true;
        context.TryCancel();
        reader->Finish().IgnoreError();
        return status;
      }
    }
    CLIENT_RETURN_IF_ERROR(FromGrpcStatus(reader->Finish()));
    if (next_ == end_) return absl::OkStatus();
    local = true;
    return absl::DataLossError(absl::StrCat(
        "the server ended the stream before the tensor with digest ",
        digests_[next_], " was there"));
  }

 private:
  v1::DownloadTensorsRequest NextRequest() {
    v1::DownloadTensorsRequest request;
    request.set_name(checkpoint_);
    end_ = std::min(digests_.size(), next_ + kMaxDigests);
    for (size_t i = next_; i < end_; ++i) request.add_digests(digests_[i]);
    return request;
  }

  absl::Status Take(const v1::DownloadTensorsResponse& message,
                    Operation& operation) {
    if (!message.digest().empty()) CLIENT_RETURN_IF_ERROR(Begin(message));
    const int64_t size = static_cast<int64_t>(message.chunk().size());
    if (!is_open_ || size > left_) {
      return absl::DataLossError(
          "the server sent more bytes of a tensor than it had announced");
    }
    CLIENT_RETURN_IF_ERROR(sink_.Append(message.chunk()));
    left_ -= size;
    if (left_ > 0) return absl::OkStatus();
    CLIENT_RETURN_IF_ERROR(sink_.End());
    is_open_ = false;
    ++next_;
    operation.Advanced();
    return absl::OkStatus();
  }

  absl::Status Begin(const v1::DownloadTensorsResponse& message) {
    if (is_open_ || next_ == end_ || message.digest() != digests_[next_]) {
      return absl::DataLossError(
          absl::StrCat("the server sent the tensor with digest ",
                       message.digest(), " where another was expected"));
    }
    is_open_ = true;
    left_ = message.size_bytes();
    return sink_.Begin(message.digest(), left_);
  }

  const std::string& checkpoint_;
  const std::vector<std::string>& digests_;
  TensorSink& sink_;
  size_t next_ = 0;       // the first that is not there as a whole
  size_t end_ = 0;        // of this attempt
  bool is_open_ = false;  // some of next_ may have come
  int64_t left_ = 0;      // bytes of it
};

}  // namespace

absl::Status DownloadTensors(v1::Checkpoints::StubInterface& stub,
                             const ClientOptions& options,
                             const std::string& checkpoint,
                             const std::vector<std::string>& digests,
                             TensorSink& sink) {
  Operation operation(options);
  TensorDownload download(checkpoint, digests, sink);
  while (!download.done()) {
    bool local = false;
    const absl::Status status = download.Attempt(stub, operation, local);
    if (!status.ok() && (local || !operation.ShouldRetry(status))) {
      return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace warmstart::client
