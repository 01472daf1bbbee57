#ifndef WARMSTART_CLIENT_CLI_USAGE_ERROR_H_
#define WARMSTART_CLIENT_CLI_USAGE_ERROR_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace warmstart::client {

// The command line was wrong: INVALID_ARGUMENT with a mark that tells it from
// the server's.
absl::Status UsageError(absl::string_view message);

bool IsUsageError(const absl::Status& status);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_USAGE_ERROR_H_
