// ToolTest: runs the command line tool against a FakeServer, as a script does.

#ifndef WARMSTART_TESTS_CLIENT_CLI_TOOL_FIXTURE_H_
#define WARMSTART_TESTS_CLIENT_CLI_TOOL_FIXTURE_H_

#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "client/cli/command_line.h"
#include "client/cli/console.h"
#include "gtest/gtest.h"
#include "tests/client/testing/fake_server.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::client {

class ToolTest : public ::testing::Test {
 protected:
  struct Ran {
    int exit_code;
    std::string out;
    std::string err;
  };

  Ran Run(const std::vector<std::string>& args) {
    std::ostringstream out;
    std::ostringstream err;
    Console console{
        .out = out,
        .err = err,
        .out_is_terminal = terminal_,
        .err_is_terminal = terminal_,
        .color = terminal_,
        .env = [this](const char* name) -> std::optional<std::string> {
          const auto found = env_.find(name);
          if (found == env_.end()) return std::nullopt;
          return found->second;
        }};
    const int exit_code = RunCommandLine(args, console);
    return {exit_code, out.str(), err.str()};
  }

  FakeMethods& methods() { return server_.methods(); }

  FakeServer server_;
  std::map<std::string, std::string> env_{
      {"WARMSTART_SERVER", server_.address()}};
  bool terminal_ = false;
  testing::TempDir dir_;
};

}  // namespace warmstart::client

#endif  // WARMSTART_TESTS_CLIENT_CLI_TOOL_FIXTURE_H_
