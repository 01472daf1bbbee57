#ifndef WARMSTART_CLIENT_CLI_COMMAND_LINE_H_
#define WARMSTART_CLIENT_CLI_COMMAND_LINE_H_

#include <string>

#include "absl/types/span.h"
#include "client/cli/console.h"

namespace warmstart::client {

// Runs the tool with the arguments after its name. Returns the exit code
// (client/cli/failure.h).
int RunCommandLine(absl::Span<const std::string> args, Console& console);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_COMMAND_LINE_H_
