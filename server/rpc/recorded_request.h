// The request of a warm start as a checkpoint's origin keeps it, so that the
// warm start can be made again.

#ifndef WARMSTART_SERVER_RPC_RECORDED_REQUEST_H_
#define WARMSTART_SERVER_RPC_RECORDED_REQUEST_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/service/warm_start_request.h"
#include "warmstart/v1/model_initializer.pb.h"

namespace warmstart::rpc {

// As service::WarmStartRequest::recorded: proto3 JSON of what the checkpoint's
// other records do not tell. "" for a request that says nothing more; none for
// one that is too large to be kept.
std::optional<std::string> RecordedText(const v1::WarmStartRequest& request);

// The request that the text records, without what the other records tell; its
// sources may be missing, where nothing is recorded of them.
//   INVALID_ARGUMENT  this server does not know what the request asks for
absl::StatusOr<service::WarmStartRequest> ReadRecorded(absl::string_view text);

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_RECORDED_REQUEST_H_
