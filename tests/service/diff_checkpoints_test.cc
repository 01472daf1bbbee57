#include "server/service/diff_checkpoints.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::warmstart::testing::StatusIs;

class DiffCheckpointsTest : public ::testing::Test {
 protected:
  World world_;
  std::string old_ = world_.MustSave(MakeSafetensors(
      {FloatTensor("a", {2}), {"b", DType::kUint8, {3}, "abc"}}));
  std::string new_ = world_.MustSave(MakeSafetensors(
      {FloatTensor("a", {2}, /*seed=*/1), {"c", DType::kUint8, {3}, "abc"}}));
};

TEST_F(DiffCheckpointsTest, KeysAreComparedByTheirDigests) {
  ASSERT_OK(world_.store().SetAlias(AliasName::Parse("best").value(),
                                    CheckpointName::Parse(new_).value()));
  ASSERT_OK_AND_ASSIGN(const CheckpointDiff diff,
                       DiffCheckpoints(world_.context(), old_, "aliases/best"));
  EXPECT_EQ(diff.base.ToString(), old_);
  EXPECT_EQ(diff.other.ToString(), new_);
  ASSERT_EQ(diff.diff.keys.size(), 2);
  EXPECT_EQ(diff.diff.keys[0].key, "a");
  EXPECT_EQ(diff.diff.keys[0].change, KeyChange::kChanged);
  EXPECT_EQ(diff.diff.keys[1].key, "c");
  EXPECT_EQ(diff.diff.keys[1].from, "b");
  EXPECT_EQ(diff.diff.keys[1].change, KeyChange::kMoved);
}

TEST_F(DiffCheckpointsTest, WhatIsNotThereIsToldByItsField) {
  const std::string gone = CheckpointName::Random().ToString();
  EXPECT_THAT(DiffCheckpoints(world_.context(), gone, new_),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(DiffCheckpoints(world_.context(), old_, gone),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(FieldOf(DiffCheckpoints(world_.context(), "", new_).status()),
            "base");
  EXPECT_EQ(FieldOf(DiffCheckpoints(world_.context(), old_, "NetA").status()),
            "other");
}

}  // namespace
}  // namespace warmstart::service
