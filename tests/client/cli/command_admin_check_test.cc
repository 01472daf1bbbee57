#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;

class AdminCheckCommandTest : public ToolTest {
 protected:
  AdminCheckCommandTest() {
    result_.set_checkpoint_count(2);
    result_.set_tensor_count(1200);
    result_.set_pack_count(1);
    methods().check_store = [this](const auto&, auto* response) {
      *response = result_;
      return grpc::Status::OK;
    };
  }

  v1::CheckStoreResponse result_;
};

TEST_F(AdminCheckCommandTest, ASoundStoreIsALine) {
  const Ran ran = Run({"admin", "check"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "checked 2 checkpoints, 1,200 tensors, 1 pack: all sound\n");
}

TEST_F(AdminCheckCommandTest, FindingsAreLinesAndTheExitCodeTellsOfThem) {
  result_.set_finding_count(3);
  result_.add_findings("pack \x1b[31m5f0c is gone");
  result_.add_findings("pack 5f0d is gone");
  const Ran ran = Run({"admin", "check"});
  EXPECT_EQ(ran.exit_code, 4);
  EXPECT_EQ(ran.out,
            "checked 2 checkpoints, 1,200 tensors, 1 pack: not sound\n"
            "pack \\x1b[31m5f0c is gone\n"
            "pack 5f0d is gone\n"
            "and 1 more\n");
  EXPECT_THAT(ran.err, HasSubstr("3 things are wrong in the store"));
}

TEST_F(AdminCheckCommandTest, JsonIsTheMessage) {
  result_.set_finding_count(1);
  result_.add_findings("pack 5f0c is gone");
  const Ran ran = Run({"admin", "check", "--json"});
  EXPECT_EQ(ran.exit_code, 4);
  EXPECT_EQ(nlohmann::json::parse(ran.out)["findings"][0], "pack 5f0c is gone");
  EXPECT_EQ(nlohmann::json::parse(ran.err)["code"], "DATA_LOSS");
}

}  // namespace
}  // namespace warmstart::client
