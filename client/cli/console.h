// Console: what the command line tool sees of the process around it. Tests give
// it string streams.

#ifndef WARMSTART_CLIENT_CLI_CONSOLE_H_
#define WARMSTART_CLIENT_CLI_CONSOLE_H_

#include <functional>
#include <optional>
#include <ostream>
#include <string>

namespace warmstart::client {

struct Console {
  // Results, and nothing else.
  std::ostream& out;
  // Errors, progress, notices.
  std::ostream& err;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  // Whether a terminal is to get colours: not with NO_COLOR or TERM=dumb.
  bool color = false;
  // Of the terminal, in characters.
  int width = 80;
  // A variable of the environment.
  std::function<std::optional<std::string>(const char*)> env;

  bool out_color() const { return color && out_is_terminal; }
  bool err_color() const { return color && err_is_terminal; }
};

// Standard output and error of this process.
Console ProcessConsole();

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_CONSOLE_H_
