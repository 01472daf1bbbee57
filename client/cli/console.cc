#include "client/cli/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

namespace warmstart::client {
namespace {

std::optional<std::string> Env(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return value;
}

// https://no-color.org: set to anything but nothing.
bool WantsColor() {
  return Env("NO_COLOR").value_or("").empty() && Env("TERM") != "dumb";
}

int TerminalWidth() {
  constexpr int kDefault = 80;
  winsize size = {};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0) return kDefault;
  return size.ws_col > 0 ? size.ws_col : kDefault;
}

}  // namespace

Console ProcessConsole() {
  return Console{.out = std::cout,
                 .err = std::cerr,
                 .out_is_terminal = isatty(STDOUT_FILENO) == 1,
                 .err_is_terminal = isatty(STDERR_FILENO) == 1,
                 .color = WantsColor(),
                 .width = TerminalWidth(),
                 .env = Env};
}

}  // namespace warmstart::client
