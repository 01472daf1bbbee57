#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ExpireTest : public ToolTest {
 protected:
  ExpireTest() {
    methods().update_checkpoint = [this](const auto& request, auto* response) {
      request_ = request;
      response->set_name("checkpoints/c1");
      if (request.checkpoint().has_ttl()) {
        response->mutable_expire_time()->set_seconds(4'000'000'000);
      }
      return grpc::Status::OK;
    };
  }

  v1::UpdateCheckpointRequest request_;
};

TEST_F(ExpireTest, ADurationIsSet) {
  const Ran ran = Run({"expire", "aliases/a", "--ttl", "7d"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, StartsWith("checkpoints/c1: expires 2096-10-02"));
  EXPECT_EQ(request_.checkpoint().name(), "aliases/a");
  EXPECT_EQ(request_.checkpoint().ttl().seconds(), 7 * 86400);
  EXPECT_THAT(request_.update_mask().paths(), ElementsAre("expire_time"));
}

TEST_F(ExpireTest, ATimeIsSet) {
  const Ran ran = Run({"expire", "a", "--expire-time", "2030-01-02T03:04:05Z"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(request_.checkpoint().expire_time().seconds(), 1893553445);
}

TEST_F(ExpireTest, NeverClearsIt) {
  EXPECT_EQ(Run({"expire", "a", "--never"}).out,
            "checkpoints/c1: never expires\n");
  EXPECT_FALSE(request_.checkpoint().has_expire_time());
  EXPECT_THAT(request_.update_mask().paths(), ElementsAre("expire_time"));
}

TEST_F(ExpireTest, MistakesAreUsageErrors) {
  EXPECT_EQ(Run({"expire", "a"}).exit_code, 2);
  EXPECT_EQ(Run({"expire", "a", "--never", "--ttl", "7d"}).exit_code, 2);
  const Ran ran = Run({"expire", "a", "--ttl", "7"});
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_THAT(ran.err, HasSubstr("not \"7\""));
}

}  // namespace
}  // namespace warmstart::client
