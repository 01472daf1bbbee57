#include "client/cli/console.h"

#include <cstdlib>

#include "gtest/gtest.h"

namespace warmstart::client {
namespace {

class ConsoleTest : public ::testing::Test {
 protected:
  ConsoleTest() {
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
  }
};

TEST_F(ConsoleTest, ColorsAreForTerminalsThatWantThem) {
  EXPECT_TRUE(ProcessConsole().color);
  setenv("NO_COLOR", "", 1);
  EXPECT_TRUE(ProcessConsole().color);
  setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(ProcessConsole().color);
  unsetenv("NO_COLOR");
  setenv("TERM", "dumb", 1);
  EXPECT_FALSE(ProcessConsole().color);
}

TEST_F(ConsoleTest, EachStreamHasColorsIfItIsATerminal) {
  Console console = ProcessConsole();
  console.out_is_terminal = true;
  console.err_is_terminal = false;
  EXPECT_TRUE(console.out_color());
  EXPECT_FALSE(console.err_color());
}

TEST_F(ConsoleTest, EnvironmentIsRead) {
  setenv("WARMSTART_TEST", "x", 1);
  EXPECT_EQ(ProcessConsole().env("WARMSTART_TEST"), "x");
  unsetenv("WARMSTART_TEST");
  EXPECT_EQ(ProcessConsole().env("WARMSTART_TEST"), std::nullopt);
}

}  // namespace
}  // namespace warmstart::client
