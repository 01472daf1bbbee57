// How a failed command ends: what it prints and its exit code.

#ifndef WARMSTART_CLIENT_CLI_FAILURE_H_
#define WARMSTART_CLIENT_CLI_FAILURE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "client/cli/console.h"
#include "client/cli/session.h"

namespace warmstart::client {

// Exit codes: part of the tool's contract.
enum ExitCode {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  // The report missed what was demanded: strict, coverage, a mismatch policy.
  kNotMet = 3,
  // The store was looked at, and is damaged.
  kUnsound = 4,
};

ExitCode ExitCodeOf(const absl::Status& status);

// The failure as a JSON object: code, message, reason, metadata, report.
std::string FailureJson(const absl::Status& status);

// Prints a usage error, with where to find help, or its JSON. `command` may be
// empty.
ExitCode PrintUsageError(const absl::Status& status, absl::string_view command,
                         bool json, Console& console);

// Prints a failed command's error to standard error: with --json as an object,
// else as a line, perhaps with a hint. Where the server sent a report, people
// get that before it, on standard output.
ExitCode PrintFailure(const absl::Status& status, const Session& session);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_FAILURE_H_
