#include "server/planner/ties.h"

#include "gmock/gmock.h"
#include "tests/planner/plan_fixture.h"

namespace warmstart::planner {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// What torch.nn.Module.load_state_dict() does with one tensor of two names.
class TiesTest : public PlanTest {
 protected:
  TiesTest() {
    SetTarget({{"wte", {2, 2}}, {"norm", {2}}, {"head", {2, 2}}});
    target_.entries[2].tied_to = "wte";
  }

  void ExpectShared(const Plan& plan, SourceOp source) {
    EXPECT_EQ(LoadedFrom(plan.assignments[0]), source);
    EXPECT_EQ(LoadedFrom(plan.assignments[2]), source);
    EXPECT_EQ(Of(plan, "wte").tied_to, "");
    EXPECT_EQ(Of(plan, "head").tied_to, "wte");
  }
};

TEST_F(TiesTest, AKeyThatIsMissingHasItsPartnersValue) {
  AddSource({{"wte", {2, 2}}, {"norm", {2}}});
  const Plan plan = MakePlanOrDie();
  ExpectShared(plan, {0, 0});
  EXPECT_THAT(plan.report.missing_keys, ElementsAre("head"));
  EXPECT_EQ(Of(plan, "head").outcome, TargetOutcome::kRenamed);
  EXPECT_EQ(Of(plan, "head").source_key, "wte");
  EXPECT_DOUBLE_EQ(plan.report.coverage.ParameterFraction(), 1);
}

TEST_F(TiesTest, TheFirstKeyHasTheValueOfTheSecond) {
  AddSource({{"head", {2, 2}}, {"norm", {2}}});
  const Plan plan = MakePlanOrDie();
  ExpectShared(plan, {0, 0});
  EXPECT_THAT(plan.report.missing_keys, ElementsAre("wte"));
}

TEST_F(TiesTest, OfTwoThatAreSuppliedTheLaterOneWins) {
  AddSource({{"head", {2, 2}}, {"wte", {2, 2}}});
  const Plan plan = MakePlanOrDie();
  ExpectShared(plan, {0, 0});
  EXPECT_EQ(Of(plan, "head").outcome, TargetOutcome::kMatched);
  EXPECT_THAT(SourceOutcomes(plan),
              ElementsAre(SourceOutcome::kUsed, SourceOutcome::kShadowed));
}

TEST_F(TiesTest, FreshValuesAreMadeAlike) {
  AddSource({{"norm", {2}}});
  request_.initializers = {{"head", ConstantInit{7}}};
  const Plan plan = MakePlanOrDie();
  EXPECT_EQ(plan.assignments[0].initializer, Initializer(ConstantInit{7}));
  EXPECT_EQ(plan.assignments[2].initializer, Initializer(ConstantInit{7}));
  EXPECT_EQ(Of(plan, "wte").initializer, "constant");
  EXPECT_EQ(Of(plan, "head").outcome, TargetOutcome::kInitialized);
}

TEST_F(TiesTest, AGroupSharesWhatAnAdapterMade) {
  AddSource({{"wte", {1, 2}}});
  request_.on_shape_mismatch = ShapePolicy::kAdapt;
  const Plan plan = MakePlanOrDie();
  EXPECT_EQ(plan.assignments[0].value, plan.assignments[2].value);
  EXPECT_EQ(Of(plan, "head").outcome, TargetOutcome::kAdapted);
  EXPECT_THAT(plan.report.unexpected_keys, IsEmpty());
}

}  // namespace
}  // namespace warmstart::planner
