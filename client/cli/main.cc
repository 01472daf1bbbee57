// The `warmstart` command.

#include <iostream>
#include <string>
#include <vector>

#include "client/cli/command_line.h"
#include "client/cli/console.h"

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  const std::vector<std::string> args(argv + 1, argv + argc);
  warmstart::client::Console console = warmstart::client::ProcessConsole();
  return warmstart::client::RunCommandLine(args, console);
}
