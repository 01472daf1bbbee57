#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "server/model/key_rule.h"
#include "tests/testing/status_matchers.h"

namespace warmstart {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

KeyRule For(KeyRule rule, std::vector<std::string> keys) {
  rule.keys = std::move(keys);
  return rule;
}

KeyRule Convert(std::vector<ConvertStep> steps) {
  return ConvertRule{{"a"}, {"b"}, std::move(steps)};
}

TEST(InvertRulesTest, UndoesEachKindInReverseOrder) {
  const std::vector<KeyRule> rules = {
      RenameRule{"a", "b"}, StripPrefixRule{"m."}, AddPrefixRule{"n."}};
  ASSERT_OK_AND_ASSIGN(const std::vector<KeyRule> inverse, InvertRules(rules));
  EXPECT_EQ(inverse,
            (std::vector<KeyRule>{StripPrefixRule{"n."}, AddPrefixRule{"m."},
                                  RenameRule{"b", "a"}}));
}

TEST(InvertRulesTest, TemplatesAreUndoneWithTheirRanges) {
  const std::vector<KeyRule> rules = {
      TemplateRule{"t.{i}.{{x}}.{r*}", "h.{i+12}.{r*}", {{"i", 0, 5}}},
      TemplateRule{"a.{i}.{i}", "b.{i - 3}", {}}};
  ASSERT_OK_AND_ASSIGN(const std::vector<KeyRule> inverse, InvertRules(rules));
  EXPECT_EQ(
      inverse,
      (std::vector<KeyRule>{
          TemplateRule{"b.{i}", "a.{i+3}.{i+3}", {}},
          TemplateRule{"h.{i}.{r*}", "t.{i-12}.{{x}}.{r*}", {{"i", 12, 17}}}}));
}

TEST(InvertRulesTest, ConversionsAreUndoneStepByStep) {
  const std::vector<KeyRule> rules = {
      ConvertRule{{"q", "k"},
                  {"qk"},
                  {TransposeStep{0, 2}, PermuteStep{{2, -3, 1}},
                   SqueezeStep{-1}, UnsqueezeStep{1}, DeinterleaveStep{1},
                   RopeStep{4, true}, ScaleStep{4}, ConcatStep{0, 3, {6, 3}}}}};
  ASSERT_OK_AND_ASSIGN(const std::vector<KeyRule> inverse, InvertRules(rules));
  EXPECT_EQ(inverse,
            (std::vector<KeyRule>{ConvertRule{
                {"qk"},
                {"q", "k"},
                {SplitStep{0, 3, {6, 3}}, ScaleStep{0.25}, RopeStep{4},
                 DeinterleaveStep{1, true}, SqueezeStep{1}, UnsqueezeStep{-1},
                 PermuteStep{{1, 2, 0}}, TransposeStep{0, 2}}}}));
  ASSERT_OK_AND_ASSIGN(const std::vector<KeyRule> again, InvertRules(inverse));
  EXPECT_EQ(std::get<ConvertRule>(again[0].kind).from,
            (std::vector<std::string>{"q", "k"}));
}

TEST(InvertRulesTest, StacksAreUnstacked) {
  const std::vector<KeyRule> rules = {
      ConvertRule{{"e.{i}.w"}, {"e.w"}, {StackStep{1}}}};
  ASSERT_OK_AND_ASSIGN(const std::vector<KeyRule> inverse, InvertRules(rules));
  EXPECT_EQ(inverse, (std::vector<KeyRule>{
                         ConvertRule{{"e.w"}, {"e.{i}.w"}, {UnstackStep{1}}}}));
  ASSERT_OK_AND_ASSIGN(const std::vector<KeyRule> again, InvertRules(inverse));
  EXPECT_EQ(again, rules);
}

TEST(InvertRulesTest, ReshapesAreUndoneWhereTheySayWhatTheyAreFrom) {
  const auto inverse_of = [](ReshapeStep step) {
    const std::vector<KeyRule> rules = {Convert({std::move(step)})};
    const auto inverse = InvertRules(rules).value();
    return std::get<ReshapeStep>(
        std::get<ConvertRule>(inverse[0].kind).steps[0]);
  };
  EXPECT_EQ(inverse_of({{0, -1}, {8, 3, 2, 2}}),
            (ReshapeStep{{8, 3, 2, 2}, {8, 12}}));
  // A convolution as a linear layer, whatever the number of outputs.
  EXPECT_EQ(inverse_of({{0, -1}, {-1, 3, 2, 2}}),
            (ReshapeStep{{-1, 3, 2, 2}, {-1, 12}}));
  EXPECT_EQ(inverse_of({{-1}, {-1, 3}}), (ReshapeStep{{-1, 3}, {-1}}));
}

TEST(InvertRulesTest, PlainTextAtTheStartIsPutBack) {
  const std::vector<KeyRule> rules = {RegexRule{"^module\\.", "a."},
                                      RegexRule{"^gamma$", "weight"}};
  ASSERT_OK_AND_ASSIGN(const std::vector<KeyRule> inverse, InvertRules(rules));
  EXPECT_EQ(inverse, (std::vector<KeyRule>{RegexRule{"^weight$", "gamma"},
                                           RegexRule{"^a\\.", "module."}}));
}

TEST(InvertRulesTest, KeysAreKeptWhereTheyMeanTheSameAfterwards) {
  const std::vector<KeyRule> rules = {
      For(AddPrefixRule{"m[0]."}, {"h.*"}),
      For(StripPrefixRule{"m."}, {"m.h.*"}), For(RenameRule{"a", "b"}, {"*"}),
      For(ConvertRule{{"{p*}.w"}, {"{p*}.w"}, {TransposeStep{}}}, {"h.*"})};
  ASSERT_OK_AND_ASSIGN(const std::vector<KeyRule> inverse, InvertRules(rules));
  EXPECT_EQ(inverse[0], rules[3]);
  EXPECT_EQ(inverse[1], For(RenameRule{"b", "a"}, {"*"}));
  EXPECT_EQ(inverse[2], For(AddPrefixRule{"m."}, {"h.*"}));
  EXPECT_EQ(inverse[3], For(StripPrefixRule{"m[0]."}, {"m[[]0].h.*"}));
}

TEST(InvertRulesTest, WhatLosesSomethingIsRefusedByName) {
  const std::pair<KeyRule, const char*> cases[] = {
      {RegexRule{"a.b", "c"}, "regular expression"},
      {RegexRule{"a", "c"}, "regular expression"},
      {RegexRule{"^(a)", "\\1"}, "regular expression"},
      {RegexRule{"^\\d", "c"}, "regular expression"},
      {TemplateRule{"h.{i}", "h.{2*i}", {}}, "{2*i}"},
      {TemplateRule{"h.{i}", "h.{i/2}", {}}, "{i/2}"},
      {TemplateRule{"h.{i}.{j}", "h.{i}", {}}, "{j}"},
      {TemplateRule{"h.{i}", "h.{i}.{i+1}", {}}, "two numbers"},
      {TemplateRule{"h.{i", "h", {}}, "not closed"},
      {Convert({CastStep{DType::kFloat16}}), "a cast"},
      {Convert({ScaleStep{0}}), "scale by 0"},
      {Convert({ScaleStep{1e-320}}), "scale by"},
      {Convert({ReshapeStep{{-1}, {}}}), "what it is from"},
      {Convert({ReshapeStep{{0, -1}, {-1, -1, 3}}}), "one size unknown"},
      {Convert({PermuteStep{{0, 0}}}), "no order"},
      {For(RenameRule{"a", "b"}, {"a*"}), "'a*'"},
      {For(StripPrefixRule{"m."}, {"*.w"}), "'*.w'"},
      {For(ConvertRule{{"a"}, {"b"}, {}}, {"a"}), "'a'"},
  };
  for (const auto& [rule, problem] : cases) {
    const std::vector<KeyRule> rules = {AddPrefixRule{"x."}, rule};
    const auto inverse = InvertRules(rules);
    EXPECT_THAT(inverse, StatusIs(absl::StatusCode::kInvalidArgument,
                                  AllOf(HasSubstr(KeyRuleToString(rule)),
                                        HasSubstr("cannot be undone"),
                                        HasSubstr(problem))));
    ASSERT_FALSE(inverse.ok());
    EXPECT_EQ(GetErrorInfo(inverse.status())->reason, reason::kInvalidRule);
    EXPECT_EQ(GetErrorInfo(inverse.status())->metadata.at("field"),
              "key_rules[1]");
  }
}

}  // namespace
}  // namespace warmstart
