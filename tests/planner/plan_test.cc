#include "server/planner/plan.h"

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "tests/planner/builders.h"
#include "tests/planner/plan_fixture.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::planner {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::warmstart::testing::IsOk;
using ::warmstart::testing::StatusIs;

constexpr auto kFailed = absl::StatusCode::kFailedPrecondition;

TEST_F(PlanTest, EqualKeysAreMatched) {
  AddSource({{"fc2.bias", {2}}, {"fc1.weight", {4, 3}}, {"fc1.bias", {4}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.verdict, IsOk());
  EXPECT_EQ(plan.report.summary, "<All keys matched successfully>");
  EXPECT_EQ(LoadedFrom(plan.assignments[0]).entry, 1);
  EXPECT_EQ(LoadedFrom(plan.assignments[1]).entry, 2);
  EXPECT_EQ(LoadedFrom(plan.assignments[2]).entry, 0);
  for (const TargetReport& entry : plan.report.entries) {
    EXPECT_EQ(entry.outcome, TargetOutcome::kMatched);
    EXPECT_EQ(entry.key, entry.source_key);
  }
  EXPECT_DOUBLE_EQ(plan.report.coverage.ParameterFraction(), 1.0);
  EXPECT_EQ(plan.report.coverage.bytes_total, 4 * (12 + 4 + 2));
}

TEST_F(PlanTest, MissingAndUnexpectedKeysAreReportedAsPyTorchReportsThem) {
  AddSource({{"extra", {1}}, {"fc1.weight", {4, 3}}, {"fc9.bias", {1}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.verdict, IsOk());
  EXPECT_THAT(plan.report.missing_keys, ElementsAre("fc1.bias", "fc2.bias"));
  EXPECT_THAT(plan.report.unexpected_keys, ElementsAre("extra", "fc9.bias"));
  EXPECT_EQ(plan.report.summary,
            "_IncompatibleKeys(missing_keys=['fc1.bias', 'fc2.bias'], "
            "unexpected_keys=['extra', 'fc9.bias'])");
  EXPECT_EQ(LoadedFrom(plan.assignments[1]).source, -1);
  EXPECT_EQ(plan.report.entries[1].outcome, TargetOutcome::kInitialized);
  EXPECT_EQ(plan.report.entries[1].initializer, "zeros");
  EXPECT_EQ(plan.report.source_entries[0].outcome, SourceOutcome::kUnexpected);
  EXPECT_EQ(plan.report.source_entries[1].outcome, SourceOutcome::kUsed);
  EXPECT_EQ(plan.report.coverage.keys_loaded, 1);
  EXPECT_EQ(plan.report.coverage.parameters_loaded, 12);
}

TEST_F(PlanTest, StrictFailsInPyTorchsWords) {
  AddSource({{"fc1.weight", {4, 3}}, {"fc9.bias", {1}}, {"fc2.bias", {3}}});
  request_.strict = true;
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(
      plan.verdict,
      StatusIs(kFailed,
               "Error(s) in loading state_dict for NetB:\n"
               "\tMissing key(s) in state_dict: \"fc1.bias\". \n"
               "\tUnexpected key(s) in state_dict: \"fc9.bias\". \n"
               "\tsize mismatch for fc2.bias: copying a param with shape "
               "torch.Size([3]) from checkpoint, the shape in current model is "
               "torch.Size([2])."));
  EXPECT_EQ(plan.report.summary, plan.verdict.message());
  EXPECT_EQ(GetErrorInfo(plan.verdict)->reason, "STRICT_NOT_MET");
}

TEST_F(PlanTest, StrictPassesWhereAllKeysMatch) {
  AddSource({{"fc2.bias", {2}}, {"fc1.weight", {4, 3}}, {"fc1.bias", {4}}});
  request_.strict = true;
  EXPECT_THAT(MakePlanOrDie().verdict, IsOk());
}

TEST_F(PlanTest, AShapeMismatchFailsEvenWhenNotStrict) {
  AddSource({{"fc1.weight", {5, 3}}, {"fc1.bias", {4}}, {"fc2.bias", {2}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.verdict, StatusIs(kFailed, HasSubstr("torch.Size([5, 3])")));
  const auto info = GetErrorInfo(plan.verdict);
  EXPECT_EQ(info->reason, "SHAPE_MISMATCH");
  EXPECT_EQ(info->metadata.at("key"), "fc1.weight");
  ASSERT_EQ(plan.report.mismatched_keys.size(), 1u);
  EXPECT_EQ(plan.report.mismatched_keys[0].key, "fc1.weight");
  // As in PyTorch, what does not fit is neither missing nor unexpected.
  EXPECT_THAT(plan.report.missing_keys, IsEmpty());
  EXPECT_EQ(plan.report.source_entries[0].outcome, SourceOutcome::kMismatched);
}

TEST_F(PlanTest, ASkippedShapeMismatchIsInitializedAndMissing) {
  AddSource({{"fc1.weight", {5, 3}}, {"fc1.bias", {4}}, {"fc2.bias", {2}}});
  request_.on_shape_mismatch = ShapePolicy::kSkip;
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.verdict, IsOk());
  EXPECT_EQ(LoadedFrom(plan.assignments[0]).source, -1);
  EXPECT_THAT(plan.report.missing_keys, ElementsAre("fc1.weight"));
  EXPECT_EQ(plan.report.mismatched_keys.size(), 1u);
  EXPECT_EQ(plan.report.entries[0].source_key, "fc1.weight");
}

TEST_F(PlanTest, OneElementLoadsIntoAScalar) {
  SetTarget({{"a", {}}, {"b", {}}, {"c", {1}}});
  AddSource({{"a", {1}}, {"b", {2}}, {"c", {}}});
  request_.on_shape_mismatch = ShapePolicy::kSkip;
  const Plan plan = MakePlanOrDie();
  EXPECT_EQ(plan.report.entries[0].outcome, TargetOutcome::kAdapted);
  EXPECT_EQ(plan.report.entries[0].derivation, "reshape(a, [])");
  EXPECT_EQ(plan.assignments[0].value->spec.shape(), Shape());
  EXPECT_EQ(plan.report.mismatched_keys.size(), 2u);
}

TEST_F(PlanTest, AnotherDtypeIsCastKeptOrRefused) {
  AddSource({{"fc1.weight", {4, 3}, DType::kFloat16},
             {"fc1.bias", {4}},
             {"fc2.bias", {2}}});
  Plan plan = MakePlanOrDie();
  EXPECT_EQ(plan.report.entries[0].outcome, TargetOutcome::kCast);
  EXPECT_EQ(plan.assignments[0].dtype, DType::kFloat32);
  EXPECT_EQ(plan.assignments[0].value->spec.dtype(), DType::kFloat32);
  EXPECT_EQ(plan.report.entries[0].derivation, "");

  request_.on_dtype_mismatch = DTypePolicy::kKeep;
  plan = MakePlanOrDie();
  EXPECT_EQ(plan.report.entries[0].outcome, TargetOutcome::kKept);
  EXPECT_EQ(plan.assignments[0].dtype, DType::kFloat16);
  EXPECT_EQ(plan.report.entries[0].spec.dtype(), DType::kFloat16);

  request_.on_dtype_mismatch = DTypePolicy::kError;
  plan = MakePlanOrDie();
  EXPECT_THAT(plan.verdict,
              StatusIs(kFailed, AllOf(HasSubstr("fc1.weight"),
                                      HasSubstr("torch.float16"))));
  EXPECT_EQ(GetErrorInfo(plan.verdict)->reason, "DTYPE_MISMATCH");
}

TEST_F(PlanTest, RenamedKeysTellTheirRules) {
  AddSource({{"module.fc1.weight", {4, 3}}, {"fc1.bias", {4}}});
  request_.rules = {StripPrefixRule{"module."}, RenameRule{"nope", "x"}};
  const Plan plan = MakePlanOrDie();
  EXPECT_EQ(plan.report.entries[0].outcome, TargetOutcome::kRenamed);
  EXPECT_EQ(plan.report.entries[0].source_key, "module.fc1.weight");
  EXPECT_THAT(plan.report.entries[0].rules,
              ElementsAre("--strip-prefix module."));
  EXPECT_EQ(plan.report.entries[1].outcome, TargetOutcome::kMatched);
  EXPECT_EQ(plan.report.rules[0].keys, 1);
  EXPECT_EQ(plan.report.rules[1].keys, 0);
  EXPECT_THAT(plan.report.notes, ElementsAre(AllOf(HasSubstr("--rename nope=x"),
                                                   HasSubstr("no key"))));
}

TEST_F(PlanTest, UnexpectedKeysAreNamedAfterTheRules) {
  AddSource({{"module.extra", {1}}, {"module.fc1.bias", {4}}});
  request_.rules = {StripPrefixRule{"module."}};
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.report.unexpected_keys, ElementsAre("extra"));
  EXPECT_EQ(plan.report.source_entries[0].key, "module.extra");
}

TEST_F(PlanTest, ExcludedKeysAreNotUnexpected) {
  AddSource({{"fc1.bias", {4}}, {"extra", {1}}, {"fc2.bias", {2}}});
  request_.exclude = {"extra", "fc2.*"};
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.report.unexpected_keys, IsEmpty());
  EXPECT_THAT(plan.report.missing_keys, ElementsAre("fc1.weight", "fc2.bias"));
  EXPECT_EQ(plan.report.source_entries[1].outcome, SourceOutcome::kExcluded);
}

TEST_F(PlanTest, TheFirstOfSeveralSourcesWins) {
  AddSource({{"fc1.bias", {4}}});
  AddSource({{"fc1.bias", {4}}, {"fc2.bias", {2}}, {"extra", {1}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_EQ(LoadedFrom(plan.assignments[1]).source, 0);
  EXPECT_EQ(LoadedFrom(plan.assignments[2]).source, 1);
  EXPECT_EQ(plan.report.source_entries[1].outcome, SourceOutcome::kShadowed);
  EXPECT_THAT(plan.report.missing_keys, ElementsAre("fc1.weight"));
  EXPECT_THAT(plan.report.unexpected_keys, ElementsAre("extra"));
}

TEST_F(PlanTest, TooLittleCoverageFails) {
  AddSource({{"fc1.bias", {4}}, {"fc2.bias", {2}}});
  request_.min_coverage = 0.5;  // 6 of 18 are loaded
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.verdict,
              StatusIs(kFailed, AllOf(HasSubstr("6 of 18 parameters"),
                                      HasSubstr("0.5"))));
  EXPECT_EQ(GetErrorInfo(plan.verdict)->reason, "COVERAGE_NOT_MET");
  request_.min_coverage = 1.0 / 3;
  EXPECT_THAT(MakePlanOrDie().verdict, IsOk());
}

TEST_F(PlanTest, ACoverageThatIsNoFractionIsRefused) {
  AddSource({{"fc1.bias", {4}}});
  for (double coverage : {-0.1, 1.1, std::nan("")}) {
    request_.min_coverage = coverage;
    EXPECT_THAT(MakePlan(request_), StatusIs(absl::StatusCode::kInvalidArgument,
                                             HasSubstr("min_coverage")));
  }
}

TEST_F(PlanTest, NoSourceIsRefused) {
  EXPECT_THAT(MakePlan(request_), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("sources")));
}

TEST_F(PlanTest, AnInitializerOfTheRequestTakesTheArchitecturesPlace) {
  AddSource({{"fc1.bias", {4}}});
  request_.initializers = {{"fc1.*", NormalInit{0, 0.02}},
                           {"*", ConstantInit{1}}};
  const Plan plan = MakePlanOrDie();
  EXPECT_EQ(Of(plan, "fc1.weight").initializer, "normal");
  EXPECT_EQ(plan.assignments[0].initializer, Initializer(NormalInit{0, 0.02}));
  EXPECT_EQ(Of(plan, "fc1.bias").initializer, "");
  EXPECT_EQ(plan.assignments[1].initializer, std::nullopt);
  EXPECT_EQ(Of(plan, "fc2.bias").initializer, "ones");
}

TEST_F(PlanTest, AnInitializerThatCannotMakeTheTensorIsRefused) {
  AddSource({{"fc1.weight", {4, 3}}});
  request_.initializers = {{"fc1.weight", ConstantInit{1}},
                           {"*.bias", KaimingUniformInit{}}};
  EXPECT_THAT(MakePlan(request_), StatusIs(absl::StatusCode::kInvalidArgument,
                                           AllOf(HasSubstr("initializers[1]"),
                                                 HasSubstr("fc1.bias"),
                                                 HasSubstr("two dimensions"))));
  request_.initializers = {{"nothing", NormalInit{0, -1}}};
  EXPECT_THAT(MakePlan(request_), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("initializers[0]")));
}

TEST_F(PlanTest, AnInitializerForOtherRanksThanMatricesIsTaken) {
  AddSource({{"fc1.weight", {4, 3}}});
  request_.initializers = {{"conv.*", DiracInit{}},
                           {"embed.*", NormalInit{0, 1, 7}}};
  MakePlanOrDie();
}

TEST_F(PlanTest, StoredValuesAreNoInitializerOfARequest) {
  AddSource({{"fc1.weight", {4, 3}}});
  request_.initializers = {{"*", StoredInit{}}};
  EXPECT_THAT(MakePlan(request_),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("stored values belong to an architecture")));
}

class BatchCounterTest : public PlanTest {
 protected:
  void SetUp() override {
    target_ = MakeArchitecture("Net", {{"bn.running_mean", {2}}});
    target_.entries.push_back(
        {"bn.num_batches_tracked",
         TensorSpec::Create(DType::kInt64, Shape()).value(), EntryKind::kBuffer,
         ConstantInit{0}});
    request_.target = &target_;
    AddSource({{"bn.running_mean", {2}}});
  }
};

TEST_F(BatchCounterTest, IsNotMissedInAPlainDict) {
  request_.strict = true;
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.verdict, IsOk());
  EXPECT_EQ(plan.report.summary, "<All keys matched successfully>");
  EXPECT_EQ(LoadedFrom(plan.assignments[1]).source, -1);
  EXPECT_THAT(plan.report.notes, ElementsAre(HasSubstr("num_batches_tracked")));
}

TEST_F(BatchCounterTest, IsNotMissedInAFileFromBeforeVersion2) {
  manifests_[0]->module_versions = {{"", 1}, {"bn", 1}};
  EXPECT_THAT(MakePlanOrDie().report.missing_keys, IsEmpty());
}

TEST_F(BatchCounterTest, IsMissedWhereTheSourceKnowsIt) {
  manifests_[0]->module_versions = {{"", 1}, {"bn", 2}};
  EXPECT_THAT(MakePlanOrDie().report.missing_keys,
              ElementsAre("bn.num_batches_tracked"));
}

TEST_F(BatchCounterTest, VersionsOfASubtreeCarryItsPath) {
  *manifests_[0] = MakeManifest({{"model.bn.running_mean", {2}}});
  manifests_[0]->subtrees = {"model"};
  EXPECT_THAT(MakePlanOrDie().report.missing_keys, IsEmpty());
  manifests_[0]->module_versions = {{"model", 1}, {"model.bn", 2}};
  EXPECT_THAT(MakePlanOrDie().report.missing_keys,
              ElementsAre("bn.num_batches_tracked"));
}

}  // namespace
}  // namespace warmstart::planner
