#include "server/planner/combining/combine.h"

#include <limits>

#include "gmock/gmock.h"
#include "server/base/error_info.h"
#include "tests/planner/plan_fixture.h"

namespace warmstart::planner {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::warmstart::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class CombineTest : public PlanTest {
 protected:
  CombineTest() { SetTarget({{"w", {2}}, {"n", {}, DType::kInt64}}); }

  void AddModel(double weight, DType dtype = DType::kFloat32) {
    AddSource({{"w", {2}, dtype}, {"n", {}, DType::kInt64}}).weight = weight;
  }

  std::string Derivation() { return Of(MakePlanOrDie(), "w").derivation; }
};

TEST_F(CombineTest, AnAverageIsOfAllSourcesAndOfFractionsAlone) {
  AddModel(1);
  AddModel(3);
  request_.combination = WeightedAverage{};
  const Plan plan = MakePlanOrDie();
  const TargetReport& w = Of(plan, "w");
  EXPECT_EQ(w.outcome, TargetOutcome::kAveraged);
  EXPECT_EQ(w.derivation, "combine(sources[0]:w, sources[1]:w, [0.25, 0.75])");
  EXPECT_EQ(w.source, 0);
  EXPECT_THAT(w.more_sources, ElementsAre(SourceTensorName{1, "w"}));
  EXPECT_EQ(Of(plan, "n").outcome, TargetOutcome::kMatched);
  EXPECT_EQ(LoadedFrom(plan.assignments[1]).source, 0);
  EXPECT_THAT(SourceOutcomes(plan),
              ElementsAre(SourceOutcome::kUsed, SourceOutcome::kUsed,
                          SourceOutcome::kUsed, SourceOutcome::kShadowed));
}

TEST_F(CombineTest, WeightsThatAreNotNormalizedStayAsTheyAre) {
  AddModel(0.5);
  AddModel(-1);
  request_.combination = WeightedAverage{false};
  EXPECT_EQ(Derivation(), "combine(sources[0]:w, sources[1]:w, [0.5, -1])");
}

TEST_F(CombineTest, AMovingAverageIsUnrolled) {
  AddModel(1);
  AddModel(1);
  AddModel(1);
  request_.combination = MovingAverage{0.5};
  EXPECT_EQ(Derivation(),
            "combine(sources[0]:w, sources[1]:w, sources[2]:w, "
            "[0.25, 0.25, 0.5])");
}

TEST_F(CombineTest, TwoSourcesAreInterpolated) {
  AddModel(1);
  AddModel(1);
  request_.combination = SphericalInterpolation{0.25};
  EXPECT_EQ(Derivation(), "slerp(sources[0]:w, sources[1]:w, t=0.25)");
}

TEST_F(CombineTest, TaskArithmeticAddsDifferencesToTheFirst) {
  AddModel(1);
  AddModel(0.5);
  AddModel(0.25);
  request_.combination = TaskArithmetic{};
  EXPECT_EQ(Derivation(),
            "combine(sources[0]:w, sources[1]:w, sources[2]:w, "
            "[0.25, 0.5, 0.25])");
}

TEST_F(CombineTest, AKeyThatSomeSourcesLackIsMadeOfTheOthers) {
  AddModel(1);
  AddModel(1);
  AddSource({{"n", {}, DType::kInt64}}).weight = 2;
  request_.combination = WeightedAverage{};
  const Plan plan = MakePlanOrDie();
  EXPECT_EQ(Of(plan, "w").derivation,
            "combine(sources[0]:w, sources[1]:w, [0.5, 0.5])");
  EXPECT_THAT(plan.report.notes,
              Contains(HasSubstr("1 keys are not in all sources")));
}

TEST_F(CombineTest, WithoutABaseTaskArithmeticTakesTheFirstThatHasTheKey) {
  AddSource({{"n", {}, DType::kInt64}});
  AddModel(0.5);
  AddModel(0.5);
  request_.combination = TaskArithmetic{};
  EXPECT_EQ(LoadedFrom(MakePlanOrDie().assignments[0]).source, 1);
}

TEST_F(CombineTest, TheResultIsRoundedOnceToTheTargetsType) {
  AddModel(1, DType::kFloat16);
  AddModel(1, DType::kFloat16);
  request_.combination = WeightedAverage{};
  Plan plan = MakePlanOrDie();
  EXPECT_EQ(plan.assignments[0].dtype, DType::kFloat32);

  request_.on_dtype_mismatch = DTypePolicy::kKeep;
  plan = MakePlanOrDie();
  EXPECT_EQ(plan.assignments[0].dtype, DType::kFloat16);
  EXPECT_EQ(plan.assignments[0].value->spec.dtype(), DType::kFloat16);
  EXPECT_EQ(OpName(plan.assignments[0].value->op), "cast");
  EXPECT_EQ(OpName(plan.assignments[0].value->operands[0]->op), "combine");
}

TEST_F(CombineTest, ShapesThatDifferAreAnErrorThatNamesKeyAndSources) {
  AddModel(1);
  AddSource({{"w", {3}}});
  request_.combination = WeightedAverage{};
  EXPECT_THAT(MakePlan(request_),
              StatusIs(kInvalid, AllOf(HasSubstr("'w'"), HasSubstr("[3]"),
                                       HasSubstr("checkpoints/c1"),
                                       HasSubstr("checkpoints/c2"))));
  request_.combination = Overlay{};
  EXPECT_THAT(MakePlanOrDie().report.mismatched_keys, IsEmpty());
}

TEST_F(CombineTest, NumbersThatMakeNoCombinationAreRefused) {
  AddModel(1);
  AddModel(-1);
  const auto refuses = [&](Combination combination, const char* field) {
    request_.combination = combination;
    EXPECT_THAT(MakePlan(request_), StatusIs(kInvalid, HasSubstr(field)));
  };
  refuses(WeightedAverage{}, "sources.weight");
  refuses(MovingAverage{1.5}, "combination.moving_average.decay");
  refuses(SphericalInterpolation{std::nan("")}, "combination.slerp.t");
  AddModel(1);
  refuses(SphericalInterpolation{}, "combination.slerp");
  request_.sources[2].weight = std::numeric_limits<double>::infinity();
  refuses(TaskArithmetic{}, "sources[2].weight");
}

}  // namespace
}  // namespace warmstart::planner
