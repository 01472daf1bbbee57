#ifndef WARMSTART_CLIENT_CLI_UNSOUND_ERROR_H_
#define WARMSTART_CLIENT_CLI_UNSOUND_ERROR_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace warmstart::client {

// The command did what it was asked to do, and found the store to be damaged:
// DATA_LOSS with a mark that tells it from a request that failed.
absl::Status UnsoundError(absl::string_view message);

bool IsUnsoundError(const absl::Status& status);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_UNSOUND_ERROR_H_
