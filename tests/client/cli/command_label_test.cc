#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;

class LabelTest : public ToolTest {
 protected:
  LabelTest() {
    checkpoint_.set_name("checkpoints/c1");
    (*checkpoint_.mutable_labels())["stage"] = "dev";
    (*checkpoint_.mutable_labels())["team"] = "vision";
    methods().get_checkpoint = [this](const auto&, auto* response) {
      *response = checkpoint_;
      return grpc::Status::OK;
    };
    methods().update_checkpoint = [this](const auto& request, auto* response) {
      *checkpoint_.mutable_labels() = request.checkpoint().labels();
      *response = checkpoint_;
      return grpc::Status::OK;
    };
  }

  v1::Checkpoint checkpoint_;
};

TEST_F(LabelTest, OtherLabelsStay) {
  const Ran ran = Run({"label", "aliases/a", "stage=prod", "new=1"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, "checkpoints/c1: new=1, stage=prod, team=vision\n");
}

TEST_F(LabelTest, LabelsAreTakenAway) {
  EXPECT_EQ(Run({"label", "a", "--remove", "stage"}).out,
            "checkpoints/c1: team=vision\n");
  EXPECT_EQ(Run({"label", "a", "--replace"}).out,
            "checkpoints/c1: no labels\n");
}

TEST_F(LabelTest, ReplaceLeavesTheGivenOnesAlone) {
  EXPECT_EQ(Run({"label", "a", "x=y", "--replace"}).out,
            "checkpoints/c1: x=y\n");
}

TEST_F(LabelTest, MistakesAreUsageErrors) {
  EXPECT_EQ(Run({"label", "a"}).exit_code, 2);
  const Ran ran = Run({"label", "a", "stage"});
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_THAT(ran.err, HasSubstr("label takes KEY=VALUE; not \"stage\""));
}

}  // namespace
}  // namespace warmstart::client
