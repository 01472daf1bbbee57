#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class AdminRetentionTest : public ToolTest {
 protected:
  AdminRetentionTest() {
    methods().apply_retention = [this](const auto& request, auto* response) {
      dry_runs_.push_back(request.validate_only());
      v1::RetiredCheckpoint* retired = response->add_checkpoints();
      retired->set_checkpoint(absl::StrCat("checkpoints/c", dry_runs_.size()));
      if (dry_runs_.size() == 1) {
        retired->mutable_expire_time()->set_seconds(4'000'000'000);
      } else {
        retired->set_rule("run=a:5");
      }
      response->set_has_more(dry_runs_.size() == 1);
      return grpc::Status::OK;
    };
  }

  std::vector<bool> dry_runs_;  // of each call
};

TEST_F(AdminRetentionTest, EverythingIsDeletedAndToldWithTheReason) {
  const Ran ran = Run({"admin", "retention"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(dry_runs_, ElementsAre(false, false));
  EXPECT_THAT(
      ran.out,
      AllOf(HasSubstr("checkpoints/c1"), HasSubstr("expired 2096-10"),
            HasSubstr("checkpoints/c2"), HasSubstr("run=a:5 keeps newer ones"),
            HasSubstr("\ndeleted 2 checkpoints\n")));
}

TEST_F(AdminRetentionTest, ADryRunAsksOnceAndSaysThatThereIsMore) {
  const Ran ran = Run({"admin", "retention", "--dry-run"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(dry_runs_, ElementsAre(true));
  EXPECT_THAT(ran.out,
              HasSubstr("dry run: would delete 1 checkpoint and more"));
}

TEST_F(AdminRetentionTest, NothingToDeleteIsSaid) {
  methods().apply_retention = [](const auto&, auto*) {
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"admin", "retention"}).out, "deleted 0 checkpoints\n");
}

}  // namespace
}  // namespace warmstart::client
