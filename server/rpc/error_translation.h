// From absl::Status to grpc::Status, with details that programs can read. The
// only place where the two meet.

#ifndef WARMSTART_SERVER_RPC_ERROR_TRANSLATION_H_
#define WARMSTART_SERVER_RPC_ERROR_TRANSLATION_H_

#include <grpcpp/grpcpp.h>

#include <cstddef>

#include "absl/status/status.h"
#include "warmstart/v1/report.pb.h"

namespace warmstart::rpc {

// A client says with this metadata key how many bytes of error it can take, as
// they travel: the message percent-encoded, the details in base64. A stock gRPC
// client refuses trailers of more than 8 KiB and would report that instead of
// the error; one that raises its limit (grpc.max_metadata_size) says so here.
inline constexpr char kMaxErrorBytesKey[] = "warmstart-max-error-bytes";
inline constexpr size_t kDefaultMaxErrorBytes = 7 * 1024;

// What the client of this call can take, at least kDefaultMaxErrorBytes.
size_t MaxErrorBytes(const grpc::ServerContext& context);

// The status with a google.rpc.Status in its details: a google.rpc.ErrorInfo
// and, where `report` is not null, the MatchReport. Where all of it is more
// than `max_bytes`, the report is shortened, then the message, then the report
// left out; the message and the report say so. `max_bytes` is at least
// kDefaultMaxErrorBytes, and a reason never gets lost.
grpc::Status ToGrpcStatus(const absl::Status& status,
                          const v1::MatchReport* report, size_t max_bytes);

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_ERROR_TRANSLATION_H_
