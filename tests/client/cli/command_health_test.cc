#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;

class HealthCommandTest : public ToolTest {};

TEST_F(HealthCommandTest, ServerThatServesIsASuccess) {
  const Ran ran = Run({"health"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, "SERVING\n");
  EXPECT_EQ(Run({"health", "--json"}).out, "{\"status\": \"SERVING\"}\n");
}

TEST_F(HealthCommandTest, ServerThatIsGoingDownIsAFailure) {
  server_.SetServing(false);
  const Ran ran = Run({"health"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(ran.out, "NOT_SERVING\n");
  EXPECT_THAT(ran.err, HasSubstr("answers NOT_SERVING"));
}

TEST_F(HealthCommandTest, NoServerIsAFailure) {
  EXPECT_EQ(Run({"health", "--server", "127.0.0.1:1"}).exit_code, 1);
}

TEST_F(HealthCommandTest, OneServiceCanBeAskedFor) {
  EXPECT_EQ(Run({"health", "--service", "no.such.Service"}).exit_code, 1);
  EXPECT_EQ(Run({"health", "--service", "warmstart.v1.Checkpoints"}).exit_code,
            0);
}

}  // namespace
}  // namespace warmstart::client
