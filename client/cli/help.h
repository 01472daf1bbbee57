#ifndef WARMSTART_CLIENT_CLI_HELP_H_
#define WARMSTART_CLIENT_CLI_HELP_H_

#include <string>

#include "absl/strings/string_view.h"
#include "client/cli/command.h"

namespace warmstart::client {

// What the tool is for, its commands and how to begin.
std::string GeneralHelp();

// The commands of a group such as "alias".
std::string GroupHelp(absl::string_view group);

// All about a command.
std::string CommandHelp(const Command& command);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_HELP_H_
