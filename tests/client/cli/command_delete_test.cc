#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

using ::testing::ElementsAre;

class DeleteTest : public ToolTest {
 protected:
  DeleteTest() {
    methods().delete_checkpoint = [this](const auto& request, auto*) {
      if (request.name() == "checkpoints/none") {
        return grpc::Status(grpc::StatusCode::NOT_FOUND, "no such checkpoint");
      }
      deleted_.push_back(request.name() + (request.force() ? " by force" : ""));
      return grpc::Status::OK;
    };
  }

  std::vector<std::string> deleted_;
};

TEST_F(DeleteTest, EachHandleIsDeleted) {
  const Ran ran = Run({"delete", "checkpoints/a", "checkpoints/b"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, "deleted checkpoints/a\ndeleted checkpoints/b\n");
  EXPECT_THAT(deleted_, ElementsAre("checkpoints/a", "checkpoints/b"));
}

TEST_F(DeleteTest, ForceIsPassedOn) {
  EXPECT_EQ(Run({"delete", "checkpoints/a", "--force", "--json"}).out, "{}\n");
  EXPECT_THAT(deleted_, ElementsAre("checkpoints/a by force"));
}

TEST_F(DeleteTest, FailureEndsIt) {
  const Ran ran = Run({"delete", "checkpoints/none", "checkpoints/b"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(ran.err, "warmstart: no such checkpoint\n");
  EXPECT_THAT(deleted_, ElementsAre());
}

}  // namespace
}  // namespace warmstart::client
