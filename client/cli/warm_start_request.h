#ifndef WARMSTART_CLIENT_CLI_WARM_START_REQUEST_H_
#define WARMSTART_CLIENT_CLI_WARM_START_REQUEST_H_

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/cli/flags.h"
#include "warmstart/v1/model_initializer.pb.h"

namespace warmstart::client {

// The flags of `warmstart warm-start`.
absl::Span<const Flag> WarmStartFlags();

// The request that the command line means, or a usage error.
absl::StatusOr<v1::WarmStartRequest> BuildWarmStartRequest(
    const Arguments& arguments);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_WARM_START_REQUEST_H_
