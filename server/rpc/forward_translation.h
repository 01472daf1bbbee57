// Between the messages of Forward and what the service understands.

#ifndef WARMSTART_SERVER_RPC_FORWARD_TRANSLATION_H_
#define WARMSTART_SERVER_RPC_FORWARD_TRANSLATION_H_

#include "absl/status/statusor.h"
#include "server/service/forward.h"
#include "warmstart/v1/model_initializer.pb.h"

namespace warmstart::rpc {

// INVALID_ARGUMENT with the field's path. Values are borrowed from `request`.
absl::StatusOr<service::ForwardRequest> FromProto(
    const v1::ForwardRequest& request);

// Values are moved.
void ToProto(service::ForwardResult result, v1::ForwardResponse* response);

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_FORWARD_TRANSLATION_H_
