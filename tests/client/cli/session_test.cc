#include "client/cli/session.h"

#include <sstream>

#include "client/cli/usage_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::client {
namespace {

class SessionTest : public ::testing::Test {
 protected:
  absl::StatusOr<Session> Create(const std::vector<std::string>& args) {
    absl::StatusOr<Arguments> arguments = ParseArguments(GlobalFlags(), args);
    if (!arguments.ok()) return arguments.status();
    return Session::Create(*arguments, console_);
  }

  std::ostringstream out_;
  std::string server_in_env_;
  Console console_{.out = out_, .err = out_, .env = [this](const char* name) {
                     return std::string(name) == "WARMSTART_SERVER"
                                ? std::optional<std::string>(server_in_env_)
                                : std::nullopt;
                   }};
};

TEST_F(SessionTest, FlagBeatsEnvironmentBeatsDefault) {
  ASSERT_OK_AND_ASSIGN(const Session by_default, Create({}));
  EXPECT_EQ(by_default.options().address, "localhost:50051");
  server_in_env_ = "env:1";
  ASSERT_OK_AND_ASSIGN(const Session by_env, Create({}));
  EXPECT_EQ(by_env.options().address, "env:1");
  ASSERT_OK_AND_ASSIGN(const Session by_flag, Create({"--server", "flag:2"}));
  EXPECT_EQ(by_flag.options().address, "flag:2");
}

TEST_F(SessionTest, TimeoutIsEndlessUnlessGiven) {
  ASSERT_OK_AND_ASSIGN(const Session endless, Create({}));
  EXPECT_EQ(endless.options().timeout, absl::InfiniteDuration());
  ASSERT_OK_AND_ASSIGN(const Session timed, Create({"--timeout", "2m"}));
  EXPECT_EQ(timed.options().timeout, absl::Minutes(2));
  EXPECT_TRUE(IsUsageError(Create({"--timeout", "soon"}).status()));
}

TEST_F(SessionTest, TablesAreFoldedOnATerminalAlone) {
  const size_t unlimited = TableStyle().max_rows;
  ASSERT_OK_AND_ASSIGN(const Session piped, Create({}));
  EXPECT_EQ(piped.table_style().max_rows, unlimited);
  EXPECT_FALSE(piped.table_style().color);
  console_.out_is_terminal = true;
  console_.color = true;
  ASSERT_OK_AND_ASSIGN(const Session folded, Create({}));
  EXPECT_EQ(folded.table_style().max_rows, 60);
  EXPECT_TRUE(folded.table_style().color);
  ASSERT_OK_AND_ASSIGN(const Session all, Create({"--all"}));
  EXPECT_EQ(all.table_style().max_rows, unlimited);
}

}  // namespace
}  // namespace warmstart::client
