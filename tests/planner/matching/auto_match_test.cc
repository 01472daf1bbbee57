#include "server/planner/matching/auto_match.h"

#include "gmock/gmock.h"
#include "tests/planner/plan_fixture.h"

namespace warmstart::planner {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::IsOk;

class AutoMatchTest : public PlanTest {
 protected:
  AutoMatchTest() { request_.matching = Matching::kAuto; }

  // The rules that were found, after all keys were loaded.
  std::vector<std::string> RulesOfFullMatch() {
    const Plan plan = MakePlanOrDie();
    EXPECT_THAT(plan.report.missing_keys, IsEmpty());
    EXPECT_THAT(plan.verdict, IsOk());
    return Rules(plan);
  }

  static std::vector<std::string> Rules(const Plan& plan) {
    std::vector<std::string> rules;
    for (const RuleUse& use : plan.report.rules) {
      EXPECT_TRUE(use.automatic);
      EXPECT_GT(use.keys, 0);
      rules.push_back(use.rule);
    }
    return rules;
  }
};

TEST_F(AutoMatchTest, DoesNothingWhereAllKeysMatch) {
  AddSource({{"fc1.weight", {4, 3}},
             {"fc1.bias", {4}},
             {"fc2.bias", {2}},
             {"module.fc2.bias", {2}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.report.rules, IsEmpty());
  EXPECT_THAT(plan.report.unexpected_keys, ElementsAre("module.fc2.bias"));
}

TEST_F(AutoMatchTest, TakesWrappersOff) {
  AddSource({{"module.model.fc1.weight", {4, 3}},
             {"module.model.fc1.bias", {4}},
             {"module.model.fc2.bias", {2}}});
  EXPECT_THAT(RulesOfFullMatch(), ElementsAre("--strip-prefix module.model."));
}

TEST_F(AutoMatchTest, TakesInnerWrappersOutAnywhere) {
  AddSource({{"_orig_mod.module.fc1._fsdp_wrapped_module.weight", {4, 3}},
             {"_orig_mod.module.fc1._fsdp_wrapped_module.bias", {4}},
             {"_orig_mod.module.fc2._checkpoint_wrapped_module."
              "_fsdp_wrapped_module.bias",
              {2}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.report.missing_keys, IsEmpty());
  EXPECT_THAT(Rules(plan), SizeIs(4));
  EXPECT_THAT(Of(plan, "fc2.bias").rules, SizeIs(4));
  EXPECT_EQ(Of(plan, "fc2.bias").outcome, TargetOutcome::kRenamed);
}

TEST_F(AutoMatchTest, AddsTheBaseModelsPrefixWhereItIsMissing) {
  SetTarget({{"bert.embeddings.weight", {4, 3}},
             {"bert.encoder.0.weight", {3, 3}},
             {"classifier.weight", {2, 3}}});
  AddSource({{"embeddings.weight", {4, 3}},
             {"encoder.0.weight", {3, 3}},
             {"pooler.weight", {3, 3}},
             {"classifier.weight", {2, 3}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.report.missing_keys, IsEmpty());
  EXPECT_THAT(plan.report.unexpected_keys, ElementsAre("pooler.weight"));
  EXPECT_EQ(plan.report.rules[0].keys, 2);
  EXPECT_EQ(Of(plan, "classifier.weight").outcome, TargetOutcome::kMatched);
}

TEST_F(AutoMatchTest, StripsTheBaseModelsPrefixWhereItIsTooMuch) {
  AddSource({{"bert.fc1.weight", {4, 3}},
             {"bert.fc1.bias", {4}},
             {"bert.fc2.bias", {2}},
             {"cls.bias", {9}}});
  EXPECT_THAT(RulesOfFullMatch(), ElementsAre("--strip-prefix bert."));
}

TEST_F(AutoMatchTest, LeavesTwoPrefixesAloneThatDoTheSame) {
  AddSource({{"student.fc1.bias", {4}}, {"teacher.fc1.bias", {4}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_EQ(Of(plan, "fc1.bias").outcome, TargetOutcome::kInitialized);
  EXPECT_THAT(plan.report.notes,
              Contains(AllOf(HasSubstr("student."), HasSubstr("teacher."),
                             HasSubstr("neither"))));
}

TEST_F(AutoMatchTest, TakesTheLongestSuffixOfTheSameShape) {
  SetTarget({{"backbone.res2.conv.weight", {3, 3}},
             {"fpn.inner.conv.weight", {4, 4}},
             {"head.bias", {7}}});
  AddSource(
      {{"res2.conv.weight", {3, 3}}, {"conv.weight", {4, 4}}, {"x.bias", {8}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_EQ(Of(plan, "backbone.res2.conv.weight").source_key,
            "res2.conv.weight");
  EXPECT_EQ(Of(plan, "fpn.inner.conv.weight").source_key, "conv.weight");
  EXPECT_THAT(plan.report.missing_keys, ElementsAre("head.bias"));
}

TEST_F(AutoMatchTest, ASuffixOfTwoKeysIsGivenToNeither) {
  SetTarget({{"a.conv.weight", {3, 3}}, {"b.conv.weight", {3, 3}}});
  AddSource({{"conv.weight", {3, 3}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.report.missing_keys, SizeIs(2));
  EXPECT_THAT(plan.report.notes, Contains(HasSubstr("neither")));
}

TEST_F(AutoMatchTest, PairsRenamedNetworksByShapeAndOrder) {
  AddSource({{"layers.0.weight", {4, 3}},
             {"layers.0.bias", {4}},
             {"layers.2.bias", {2}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(Rules(plan), ElementsAre(R"(--rename-regex ^layers\.0\.=fc1.)",
                                       R"(--rename-regex ^layers\.2\.=fc2.)"));
  EXPECT_THAT(plan.report.missing_keys, IsEmpty());
  EXPECT_THAT(plan.report.notes, Contains(HasSubstr("3 keys go together")));
}

TEST_F(AutoMatchTest, PairsModulesWhereTheRestDiffers) {
  AddSource({{"aux.weight", {9, 9}}, {"in.weight", {4, 3}}, {"in.bias", {4}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_EQ(Of(plan, "fc1.weight").source_key, "in.weight");
  EXPECT_EQ(Of(plan, "fc1.bias").source_key, "in.bias");
  EXPECT_THAT(plan.report.missing_keys, ElementsAre("fc2.bias"));
}

TEST_F(AutoMatchTest, DoesNotPairWhatCouldBeMeantInTwoWays) {
  SetTarget({{"a.weight", {3, 3}}, {"b.weight", {3, 3}}, {"c.weight", {1}}});
  AddSource({{"x.weight", {3, 3}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.report.missing_keys, SizeIs(3));
  EXPECT_THAT(plan.report.notes, Contains(HasSubstr("left alone")));
}

TEST_F(AutoMatchTest, DoesNotTakeABiasForAWeightOfItsShape) {
  SetTarget({{"norm.weight", {3}}, {"norm.bias", {3}}});
  AddSource({{"ln.bias", {3}}, {"ln.weight", {3}}});
  EXPECT_THAT(MakePlanOrDie().report.missing_keys, SizeIs(2));
}

TEST_F(AutoMatchTest, NewNamesOfTensorsGoByOrder) {
  SetTarget({{"norm.weight", {3}}, {"norm.bias", {3}}});
  AddSource({{"norm.gamma", {3}}, {"norm.beta", {3}}});
  EXPECT_THAT(RulesOfFullMatch(), ElementsAre("--rename norm.gamma=norm.weight",
                                              "--rename norm.beta=norm.bias"));
}

TEST_F(AutoMatchTest, EachSourceIsMatchedByItself) {
  AddSource({{"module.fc1.weight", {4, 3}}, {"module.fc1.bias", {4}}});
  AddSource({{"net.fc2.bias", {2}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.report.missing_keys, IsEmpty());
  EXPECT_EQ(Of(plan, "fc2.bias").source, 1);
}

TEST_F(AutoMatchTest, WithoutItTheRulesAreSuggested) {
  request_.matching = Matching::kExact;
  AddSource({{"_orig_mod.module.fc1.weight", {4, 3}},
             {"_orig_mod.module.fc1.bias", {4}},
             {"_orig_mod.module.fc3.bias", {2}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.report.rules, IsEmpty());
  EXPECT_THAT(plan.report.missing_keys, SizeIs(3));
  ASSERT_THAT(plan.report.suggestions, SizeIs(2));
  EXPECT_EQ(plan.report.suggestions[0],
            (RuleSuggestion{R"(--rename-regex (^|\.)(?:_orig_mod\.)+=\1)"
                            " --strip-prefix module.",
                            2, 16}));
  EXPECT_EQ(plan.report.suggestions[1].keys, 1);
}

TEST_F(AutoMatchTest, NothingIsSuggestedWhereNothingIsMissing) {
  request_.matching = Matching::kExact;
  AddSource({{"fc1.weight", {4, 3}},
             {"fc1.bias", {4}},
             {"fc2.bias", {2}},
             {"x.fc2.bias", {2}}});
  EXPECT_THAT(MakePlanOrDie().report.suggestions, IsEmpty());
}

}  // namespace
}  // namespace warmstart::planner
