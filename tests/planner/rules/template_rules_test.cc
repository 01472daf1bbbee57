#include "server/planner/rules/template_rules.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "tests/planner/ruled.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::planner {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::warmstart::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::vector<Tensor> Layers(int count, absl::string_view prefix = "h.") {
  std::vector<Tensor> tensors;
  for (int i = 0; i < count; ++i) {
    tensors.push_back({absl::StrCat(prefix, i, ".w"), {1}});
  }
  return tensors;
}

// "h.0.w<0": the key, and the entry that it comes from.
std::vector<std::string> Flow(const RuledTensors& ruled) {
  std::vector<std::string> flow;
  for (const NamedTensor& tensor : ruled.tensors) {
    flow.push_back(
        absl::StrCat(tensor.key, "<", AsSourceTensor(*tensor.value)->entry));
  }
  return flow;
}

KeyRule Template(std::string to, std::string from,
                 std::vector<TemplateRule::Range> ranges = {}) {
  return TemplateRule{std::move(to), std::move(from), std::move(ranges)};
}

TEST(TemplateRulesTest, EveryOtherLayerIsTakenAndTheRestLeftOut) {
  std::vector<Tensor> source = Layers(6);
  source.push_back({"fc.w", {1}});
  ASSERT_OK_AND_ASSIGN(
      const RuledTensors ruled,
      ApplyRules({Template("h.{i}.{r*}", "h.{2*i}.{r*}")}, source, Layers(3)));
  EXPECT_THAT(Flow(ruled),
              ElementsAre("h.0.w<0", "h.1.w<2", "h.2.w<4", "fc.w<6"));
  EXPECT_THAT(EntriesOf(ruled.left_out), ElementsAre(1, 3, 5));
  EXPECT_THAT(ruled.tensors[0].rules, ElementsAre(0));
  EXPECT_THAT(ruled.tensors[3].rules, IsEmpty());
}

TEST(TemplateRulesTest, OneLayerMaySupplySeveral) {
  ASSERT_OK_AND_ASSIGN(const RuledTensors ruled,
                       ApplyRules({Template("h.{i}.{r*}", "h.{i/2}.{r*}")},
                                  Layers(3), Layers(4)));
  EXPECT_THAT(Flow(ruled),
              ElementsAre("h.0.w<0", "h.1.w<0", "h.2.w<1", "h.3.w<1"));
  EXPECT_THAT(EntriesOf(ruled.left_out), ElementsAre(2));
}

TEST(TemplateRulesTest, AKeyWithoutHolesMaySupplySeveral) {
  ASSERT_OK_AND_ASSIGN(
      const RuledTensors ruled,
      ApplyRules({Template("h.{i}.w", "shared")}, Keys({"shared"}), Layers(2)));
  EXPECT_THAT(Flow(ruled), ElementsAre("h.0.w<0", "h.1.w<0"));
}

TEST(TemplateRulesTest, RulesThatFollowEachOtherSeeTheSameKeys) {
  ASSERT_OK_AND_ASSIGN(
      const RuledTensors ruled,
      ApplyRules({Template("h.{i}.w", "h.{i+2}.w", {{"i", 0, 1}}),
                  Template("h.{i}.w", "h.{i-2}.w", {{"i", 2, 3}})},
                 Layers(4), Layers(4)));
  EXPECT_THAT(Flow(ruled),
              ElementsAre("h.2.w<0", "h.3.w<1", "h.0.w<2", "h.1.w<3"));
}

TEST(TemplateRulesTest, WhatTheTargetDoesNotHaveIsLeftOut) {
  ASSERT_OK_AND_ASSIGN(
      const RuledTensors ruled,
      ApplyRules({Template("t.{i}.w", "h.{i}.w")}, Layers(4), Layers(2, "t.")));
  EXPECT_THAT(Flow(ruled), ElementsAre("t.0.w<0", "t.1.w<1"));
  EXPECT_THAT(EntriesOf(ruled.left_out), ElementsAre(2, 3));
}

TEST(TemplateRulesTest, RulesBehindOneMayChangeItsKeys) {
  ASSERT_OK_AND_ASSIGN(
      const RuledTensors ruled,
      ApplyRules({Template("h.{i}.w", "h.{2*i}.w"), AddPrefixRule{"m."}},
                 Layers(4), Layers(2, "m.h.")));
  EXPECT_THAT(Flow(ruled), ElementsAre("m.h.0.w<0", "m.h.1.w<2"));
}

TEST(TemplateRulesTest, TextsAreAsShortAsTheyCanBeFromTheFront) {
  ASSERT_OK_AND_ASSIGN(
      const RuledTensors ruled,
      ApplyRules({Template("{i}/{p*}/{r*}", "{p*}h.{i}.{r*}")},
                 Keys({"m.h.1.moe.h.2.w"}), Keys({"1/m./moe.h.2.w"})));
  EXPECT_THAT(Flow(ruled), ElementsAre("1/m./moe.h.2.w<0"));
}

TEST(TemplateRulesTest, NumbersAreWholeNumbersAsPeopleWriteThem) {
  for (const char* key :
       {"h.01.w", "h.-1.w", "h..w", "h.1x.w", "h.99999999999999999999.w"}) {
    ASSERT_OK_AND_ASSIGN(const RuledTensors ruled,
                         ApplyRules({Template("t.{i}.w", "h.{i}.w")},
                                    Keys({key}), Keys({"t.1.w"})));
    for (const NamedTensor& tensor : ruled.tensors) EXPECT_EQ(tensor.key, key);
  }
}

TEST(TemplateRulesTest, TwoHolesOfOneNameHoldTheSame) {
  ASSERT_OK_AND_ASSIGN(
      const RuledTensors ruled,
      ApplyRules({Template("t.{i}", "h.{i}.{i}")}, Keys({"h.1.1", "h.1.2"}),
                 Keys({"t.1", "t.2"})));
  EXPECT_THAT(Flow(ruled), ElementsAre("t.1<0"));
  EXPECT_THAT(EntriesOf(ruled.left_out), ElementsAre(1));
}

TEST(TemplateRulesTest, RulesAreForTheirSourceAndKeysAlone) {
  KeyRule rule = Template("t.{i}.w", "h.{i}.w");
  rule.source = 1;
  ASSERT_OK_AND_ASSIGN(const RuledTensors other,
                       ApplyRules({rule}, Layers(1), Layers(1, "t."), 0));
  EXPECT_THAT(Flow(other), ElementsAre("h.0.w<0"));
  rule.keys = {"h.[1-9].w"};
  ASSERT_OK_AND_ASSIGN(const RuledTensors ruled,
                       ApplyRules({rule}, Layers(2), Layers(2, "t."), 1));
  EXPECT_THAT(Flow(ruled), ElementsAre("h.0.w<0", "t.1.w<1"));
}

TEST(TemplateRulesTest, TwoSourcesOfOneKeyAreAnErrorUnlessOneHasPriority) {
  KeyRule second = Template("t.{i}.w", "h.{i+1}.w");
  const KeyRule first = Template("t.{i}.w", "h.{i}.w", {{"i", 0, 0}});
  EXPECT_THAT(
      ApplyRules({first, second}, Layers(2), Layers(1, "t.")),
      StatusIs(kInvalid, AllOf(HasSubstr("'h.0.w'"), HasSubstr("'h.1.w'"),
                               HasSubstr("'t.0.w'"))));
  second.priority = 1;
  ASSERT_OK_AND_ASSIGN(const RuledTensors ruled,
                       ApplyRules({first, second}, Layers(2), Layers(1, "t.")));
  EXPECT_THAT(Flow(ruled), ElementsAre("t.0.w<1"));
  EXPECT_THAT(EntriesOf(ruled.shadowed), ElementsAre(0));
  EXPECT_THAT(ruled.left_out, IsEmpty());
}

TEST(TemplateRulesTest, NumbersThatCannotBeComputedAreAnErrorThatNamesTheKey) {
  EXPECT_THAT(
      ApplyRules({Template("h.{i}.w", "h.{8/i}.w")}, Layers(1), Layers(1)),
      StatusIs(kInvalid,
               AllOf(HasSubstr("'h.0.w'"), HasSubstr("divides by 0"))));
}

TEST(TemplateRulesTest, RulesThatCannotBeUsedAreRefusedWithTheirField) {
  const std::pair<KeyRule, const char*> cases[] = {
      {Template("", "a"), "key_rules[1].template.to: must not be empty"},
      {Template("a.{i", "a"), "key_rules[1].template.to: 'a.{i'"},
      {Template("a.{2*i}", "a"), "key_rules[1].template.to: holds an expr"},
      {Template("a.{i}", "a.{j}"), "key_rules[1].template.from: 'j'"},
      {Template("a.{i*}", "a.{i}"), "key_rules[1].template.from: 'i' is no n"},
      {Template("a.{i}", "a.{i*}"), "key_rules[1].template.from: 'i' is no t"},
      {Template("a.{i}", "a.{i/0}"), "key_rules[1].template.from"},
      {Template("a", std::string(2000, 'a')), "longer than"},
      {Template("a.{i}", "a.{i}", {{"j", 0, 1}}),
       "key_rules[1].template.ranges[0].hole"},
      {Template("a.{i}", "a.{i}", {{"i", 0, 1}, {"i", 2, 1}}),
       "key_rules[1].template.ranges[1]: is empty"},
  };
  for (const auto& [rule, problem] : cases) {
    const auto ruled = ApplyRules({AddPrefixRule{"x"}, rule}, {}, {});
    EXPECT_THAT(ruled, StatusIs(kInvalid, HasSubstr(problem)));
    ASSERT_FALSE(ruled.ok());
    EXPECT_EQ(GetErrorInfo(ruled.status())->reason, reason::kInvalidRule);
  }
}

TEST(TemplateRulesTest, ScopesThatCannotBeUsedAreRefusedWithTheirField) {
  KeyRule rule = Template("a", "b");
  rule.source = 2;
  EXPECT_THAT(ApplyRules({rule}, {}, {}),
              StatusIs(kInvalid, HasSubstr("key_rules[0].source")));
  rule.source = 0;
  rule.keys = {"a", ""};
  EXPECT_THAT(ApplyRules({rule}, {}, {}),
              StatusIs(kInvalid, HasSubstr("key_rules[0].keys[1]")));
}

}  // namespace
}  // namespace warmstart::planner
