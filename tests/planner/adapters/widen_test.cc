#include "server/planner/adapters/widen.h"

#include "gmock/gmock.h"
#include "tests/planner/plan_fixture.h"

namespace warmstart::planner {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::warmstart::testing::IsOk;
using ::warmstart::testing::StatusIs;

class WidenTest : public PlanTest {
 protected:
  WidenTest() {
    SetTarget({{"fc1.weight", {5, 3}},
               {"fc1.bias", {5}},
               {"fc2.weight", {4, 5}},
               {"fc2.bias", {4}}});
    AddSource({{"fc1.weight", {2, 3}},
               {"fc1.bias", {2}},
               {"fc2.weight", {3, 2}},
               {"fc2.bias", {3}}});
    request_.widenings = {
        {{{"fc1.weight", 0}, {"fc1.bias", 0}}, {{"fc2.weight", 1}}},
        {{{"fc2.weight", 0}, {"fc2.bias", 0}}, {}}};
  }

  void Refuses(const char* key, const char* problem) {
    EXPECT_THAT(MakePlan(request_),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("widenings["), HasSubstr(key),
                               HasSubstr(problem))));
  }
};

TEST_F(WidenTest, UnitsAreCopiedAndWhatTakesThemInIsShared) {
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.verdict, IsOk());
  EXPECT_EQ(Of(plan, "fc1.weight").derivation,
            "select(fc1.weight, dim=0, [0, 1, 0, 1, 0])");
  EXPECT_EQ(Of(plan, "fc1.weight").adaptation,
            "widened dimension 0 from 2 to 5");
  // Unit 0 is there three times, unit 1 twice.
  EXPECT_THAT(
      Of(plan, "fc2.weight").derivation,
      AllOf(HasSubstr("scale_along(select(fc2.weight, dim=1, "
                      "[0, 1, 0, 1, 0]), dim=1, [0.333333, 0.5, 0.333333, "
                      "0.5, 0.333333])"),
            HasSubstr("dim=0, [0, 1, 2, 0])")));
  EXPECT_EQ(Of(plan, "fc2.weight").adaptation,
            "widened dimension 1 from 2 to 5; widened dimension 0 from 3 to 4");
  EXPECT_EQ(Of(plan, "fc2.weight").outcome, TargetOutcome::kAdapted);
}

TEST_F(WidenTest, WhatIsAsWideAsBeforeStaysAsItIs) {
  SetTarget({{"fc1.weight", {2, 3}},
             {"fc1.bias", {2}},
             {"fc2.weight", {3, 2}},
             {"fc2.bias", {3}}});
  EXPECT_EQ(Of(MakePlanOrDie(), "fc1.weight").outcome, TargetOutcome::kMatched);
}

TEST_F(WidenTest, SlicesThatDisagreeAreRefused) {
  SetTarget({{"fc1.weight", {5, 3}},
             {"fc1.bias", {6}},
             {"fc2.weight", {4, 5}},
             {"fc2.bias", {4}}});
  Refuses("'fc1.bias'", "2 to 6");
}

TEST_F(WidenTest, KeysMustBeThereOnBothSides) {
  request_.widenings[0].inputs = {{"fc3.weight", 1}};
  Refuses("'fc3.weight'", "no key of the target");
  request_.widenings[0].inputs = {};
  request_.exclude = {"fc1.bias"};
  Refuses("'fc1.bias'", "supplied by no source");
}

TEST_F(WidenTest, NarrowerLayersAndOtherDimensionsAreRefused) {
  SetTarget({{"fc1.weight", {1, 3}},
             {"fc1.bias", {1}},
             {"fc2.weight", {4, 1}},
             {"fc2.bias", {4}}});
  Refuses("'fc1.weight'", "not wider");
  request_.widenings[0].outputs[0].dim = 2;
  Refuses("'fc1.weight'", "no dimension 2");
  request_.widenings = {{}};
  Refuses("", "no slices");
}

TEST_F(WidenTest, NoDimensionIsWidenedTwice) {
  request_.widenings[0].outputs.push_back({"fc1.bias", 0});
  Refuses("'fc1.bias'", "twice");
}

}  // namespace
}  // namespace warmstart::planner
