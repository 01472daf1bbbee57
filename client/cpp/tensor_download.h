// The receiving side of DownloadTensors.

#ifndef WARMSTART_CLIENT_CPP_TENSOR_DOWNLOAD_H_
#define WARMSTART_CLIENT_CPP_TENSOR_DOWNLOAD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "client/cpp/options.h"
#include "warmstart/v1/checkpoints.grpc.pb.h"

namespace warmstart::client {

// Takes tensors, one after the other: Begin, any number of Append, End. A
// tensor whose bytes did not all come, for the connection was lost, is begun
// again. A failure ends the download.
class TensorSink {
 public:
  virtual ~TensorSink() = default;
  // `digest` is hexadecimal, and one of those that were asked for.
  virtual absl::Status Begin(const std::string& digest, int64_t size) = 0;
  virtual absl::Status Append(absl::string_view bytes) = 0;
  virtual absl::Status End() = 0;
};

// Hands the tensors of a checkpoint that have these digests to `sink`, in their
// order, however many they are.
//
//   DATA_LOSS  the stream is not what it said: another tensor than was asked
//              for, too many bytes or too few
//   others     as DownloadTensors, or as `sink` says
absl::Status DownloadTensors(v1::Checkpoints::StubInterface& stub,
                             const ClientOptions& options,
                             const std::string& checkpoint,
                             const std::vector<std::string>& digests,
                             TensorSink& sink);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_TENSOR_DOWNLOAD_H_
