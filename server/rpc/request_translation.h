// From the messages of requests to what the service understands. Names and
// numbers are checked there; here only what cannot be expressed is refused.

#ifndef WARMSTART_SERVER_RPC_REQUEST_TRANSLATION_H_
#define WARMSTART_SERVER_RPC_REQUEST_TRANSLATION_H_

#include "absl/status/statusor.h"
#include "server/service/download.h"
#include "server/service/save_model.h"
#include "server/service/warm_start.h"
#include "server/store/store.h"
#include "warmstart/v1/checkpoints.pb.h"
#include "warmstart/v1/model_initializer.pb.h"

namespace warmstart::rpc {

// All give INVALID_ARGUMENT with the field's path.
absl::StatusOr<service::SaveModelRequest> FromProto(
    const v1::SaveModelHeader& header);
absl::StatusOr<service::WarmStartRequest> FromProto(
    const v1::WarmStartRequest& request);
absl::StatusOr<service::FileFormat> FromProto(v1::FileFormat format);
absl::StatusOr<store::ListCheckpointsOptions> FromProto(
    const v1::ListCheckpointsRequest& request);

// When a checkpoint expires, of a message with the fields `expire_time` and
// `ttl`; INVALID_ARGUMENT for what is no time or duration.
absl::StatusOr<store::Expiration> ExpirationFromProto(
    const v1::SaveModelHeader& header);
absl::StatusOr<store::Expiration> ExpirationFromProto(
    const v1::WarmStartRequest& request);
absl::StatusOr<store::Expiration> ExpirationFromProto(
    const v1::Checkpoint& checkpoint);

// A page size: `requested`, or `standard` where it is 0; INVALID_ARGUMENT for
// one that is negative, and what is above `most` counts as `most` (AIP-158).
absl::StatusOr<int> PageSize(int requested, int standard, int most);

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_REQUEST_TRANSLATION_H_
