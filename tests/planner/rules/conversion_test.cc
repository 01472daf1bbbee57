#include "server/planner/rules/conversion.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "tests/planner/derivation_values.h"
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
using Elements = std::vector<int64_t>;

KeyRule Convert(std::vector<std::string> from, std::vector<std::string> to,
                std::vector<ConvertStep> steps) {
  return ConvertRule{std::move(from), std::move(to), std::move(steps)};
}

// The one tensor that `steps` make of one of `sizes`, whose elements are 0, 1,
// ...
absl::StatusOr<Values> Changed(std::vector<ConvertStep> steps,
                               std::vector<int64_t> sizes) {
  ASSIGN_OR_RETURN(const RuledTensors ruled,
                   ApplyRules({Convert({"a"}, {"b"}, std::move(steps))},
                              {{"a", std::move(sizes)}}, {}));
  return ValuesOf(*ruled.tensors.at(0).value);
}

std::vector<std::string> KeysOf(const RuledTensors& ruled) {
  std::vector<std::string> keys;
  for (const NamedTensor& tensor : ruled.tensors) keys.push_back(tensor.key);
  return keys;
}

TEST(ConversionTest, JoinsEachLayersTensorsWhereTheFirstStood) {
  ASSERT_OK_AND_ASSIGN(const RuledTensors ruled,
                       ApplyRules({Convert({"h.{i}.q", "h.{i}.k"}, {"h.{i}.qk"},
                                           {ConcatStep{0}})},
                                  {{"x", {1}},
                                   {"h.0.k", {1, 2}},
                                   {"h.1.q", {1, 2}},
                                   {"h.0.q", {2, 2}},
                                   {"h.1.k", {1, 2}}},
                                  {}));
  EXPECT_THAT(KeysOf(ruled), ElementsAre("x", "h.0.qk", "h.1.qk"));
  EXPECT_EQ(ValuesOf(*ruled.tensors[1].value).elements,
            (Elements{3000, 3001, 3002, 3003, 1000, 1001}));
  EXPECT_EQ(ValuesOf(*ruled.tensors[2].value).elements,
            (Elements{2000, 2001, 4000, 4001}));
  EXPECT_THAT(ruled.tensors[1].rules, ElementsAre(0));
  EXPECT_THAT(ruled.left_out, IsEmpty());
}

TEST(ConversionTest, JoinsHeadByHead) {
  ASSERT_OK_AND_ASSIGN(
      const RuledTensors ruled,
      ApplyRules({Convert({"q", "k"}, {"qk"}, {ConcatStep{0, 2}})},
                 {{"q", {4}}, {"k", {2}}}, {}));
  EXPECT_EQ(ValuesOf(*ruled.tensors[0].value).elements,
            (Elements{0, 1, 1000, 2, 3, 1001}));
}

TEST(ConversionTest, SplitsHeadByHead) {
  ASSERT_OK_AND_ASSIGN(
      const RuledTensors ruled,
      ApplyRules({Convert({"qk"}, {"q", "k"}, {SplitStep{-1, 2, {4, 2}}})},
                 {{"qk", {6}}}, {}));
  EXPECT_EQ(ValuesOf(*ruled.tensors[0].value).elements, (Elements{0, 1, 3, 4}));
  EXPECT_EQ(ValuesOf(*ruled.tensors[1].value).elements, (Elements{2, 5}));
}

TEST(ConversionTest, SplitsAsTheTargetHasItAndTheRestEqually) {
  const std::vector<KeyRule> rules = {Convert({"{p*}qkv"},
                                              {"{p*}q", "{p*}k", "{p*}v"},
                                              {SplitStep{0}, TransposeStep{}})};
  ASSERT_OK_AND_ASSIGN(
      const RuledTensors ruled,
      ApplyRules(rules, {{"a.qkv", {8, 3}}}, {{"a.q", {3, 4}}}));
  EXPECT_EQ(ruled.tensors[0].value->spec.shape().ToString(), "[3, 4]");
  EXPECT_EQ(ruled.tensors[1].value->spec.shape().ToString(), "[3, 2]");
  EXPECT_EQ(ruled.tensors[2].value->spec.shape().ToString(), "[3, 2]");
  ASSERT_OK_AND_ASSIGN(const RuledTensors equal,
                       ApplyRules(rules, {{"a.qkv", {9, 3}}}, {}));
  EXPECT_EQ(equal.tensors[0].value->spec.shape().ToString(), "[3, 3]");
  EXPECT_THAT(ApplyRules(rules, {{"a.qkv", {8, 3}}}, {}),
              StatusIs(kInvalid, AllOf(HasSubstr("do not make up"),
                                       HasSubstr("'a.qkv'"))));
  EXPECT_THAT(ApplyRules(rules, {{"a.qkv", {8, 3}}},
                         {{"a.q", {3, 4}}, {"a.k", {3, 3}}, {"a.v", {3, 3}}}),
              StatusIs(kInvalid, HasSubstr("do not make up")));
}

TEST(ConversionTest, StacksInTheOrderOfTheNumbers) {
  std::vector<Tensor> source;
  for (int e : {10, 2, 3, 4, 5, 6, 7, 8, 9}) {
    source.push_back({absl::StrCat("e.", e, ".w"), {1}});
  }
  ASSERT_OK_AND_ASSIGN(
      const RuledTensors ruled,
      ApplyRules({Convert({"e.{i}.w"}, {"e.w"}, {StackStep{0}})}, source, {}));
  const Values values = ValuesOf(*ruled.tensors[0].value);
  EXPECT_EQ(values.sizes, (Elements{9, 1}));
  EXPECT_EQ(values.elements.front(), 1000);  // of e.2
  EXPECT_EQ(values.elements.back(), 0);      // of e.10
}

// transformers' mixtures of experts: MergeModulelist(0), Concatenate(1).
TEST(ConversionTest, StacksExpertsAndJoinsTheirProjections) {
  const std::vector<KeyRule> rules = {Convert({"e.{i}.gate", "e.{i}.up"},
                                              {"e.gate_up"},
                                              {StackStep{0}, ConcatStep{1}})};
  const std::vector<Tensor> source = {{"e.0.gate", {1, 2}},
                                      {"e.1.gate", {1, 2}},
                                      {"e.0.up", {1, 2}},
                                      {"e.1.up", {1, 2}}};
  ASSERT_OK_AND_ASSIGN(const RuledTensors ruled, ApplyRules(rules, source, {}));
  const Values values = ValuesOf(*ruled.tensors[0].value);
  EXPECT_EQ(values.sizes, (Elements{2, 2, 2}));
  EXPECT_EQ(values.elements,
            (Elements{0, 1, 2000, 2001, 1000, 1001, 3000, 3001}));

  ASSERT_OK_AND_ASSIGN(std::vector<KeyRule> both, InvertRules(rules));
  both.insert(both.begin(), rules.begin(), rules.end());
  ASSERT_OK_AND_ASSIGN(const RuledTensors back, ApplyRules(both, source, {}));
  EXPECT_THAT(KeysOf(back),
              ElementsAre("e.0.gate", "e.1.gate", "e.0.up", "e.1.up"));
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(ValuesOf(*back.tensors[i].value).elements[0], 1000 * i);
  }
}

// The other order: each expert's projections first, and its inverse.
TEST(ConversionTest, JoinsEachExpertBeforeTheStack) {
  const std::vector<KeyRule> rules = {
      Convert({"e.{i}.a", "e.{i}.b"}, {"e.ab"}, {ConcatStep{0}, StackStep{0}})};
  const std::vector<Tensor> source = {
      {"e.0.a", {1}}, {"e.0.b", {1}}, {"e.1.a", {1}}, {"e.1.b", {1}}};
  ASSERT_OK_AND_ASSIGN(std::vector<KeyRule> both, InvertRules(rules));
  both.insert(both.begin(), rules.begin(), rules.end());
  ASSERT_OK_AND_ASSIGN(const RuledTensors ruled, ApplyRules(rules, source, {}));
  EXPECT_EQ(ValuesOf(*ruled.tensors[0].value),
            (Values{{2, 2}, {0, 1000, 2000, 3000}}));
  ASSERT_OK_AND_ASSIGN(const RuledTensors back, ApplyRules(both, source, {}));
  EXPECT_THAT(KeysOf(back), ElementsAre("e.0.a", "e.1.a", "e.0.b", "e.1.b"));
}

// transformers' ErnieFuseAndSplitTextVisionExperts: two lists of experts, of
// which each half is stacked by itself.
TEST(ConversionTest, TemplatesTellExpertsApartThatAreStackedBehindThem) {
  const auto half = [](std::string to, std::string from) -> KeyRule {
    return TemplateRule{std::move(to), std::move(from), {{"e", 0, 1}}};
  };
  ASSERT_OK_AND_ASSIGN(
      const RuledTensors ruled,
      ApplyRules({half("text.{e}.{p*}", "e.{e}.{p*}"),
                  half("vision.{e}.{p*}", "e.{e+2}.{p*}"),
                  Convert({"{t*}.{e}.gate", "{t*}.{e}.up"}, {"{t*}.gate_up"},
                          {StackStep{0}, ConcatStep{1}})},
                 Keys({"e.0.gate", "e.0.up", "e.1.gate", "e.1.up", "e.2.gate",
                       "e.2.up", "e.3.gate", "e.3.up"}),
                 Keys({"text.gate_up", "vision.gate_up"})));
  EXPECT_THAT(KeysOf(ruled), ElementsAre("text.gate_up", "vision.gate_up"));
  EXPECT_EQ(ValuesOf(*ruled.tensors[1].value),
            (Values{{2, 2}, {4000, 5000, 6000, 7000}}));
  EXPECT_THAT(ruled.left_out, IsEmpty());
}

// Concatenate and Chunk with a number of shards of the configuration.
TEST(ConversionTest, JoinsAndSplitsAListOfShards) {
  const std::vector<KeyRule> join = {
      Convert({"w.{i}"}, {"w"}, {ConcatStep{0}})};
  ASSERT_OK_AND_ASSIGN(const RuledTensors joined,
                       ApplyRules(join, {{"w.1", {2}}, {"w.0", {2}}}, {}));
  EXPECT_EQ(ValuesOf(*joined.tensors[0].value).elements,
            (Elements{1000, 1001, 0, 1}));
  ASSERT_OK_AND_ASSIGN(const std::vector<KeyRule> split, InvertRules(join));
  ASSERT_OK_AND_ASSIGN(const RuledTensors parts,
                       ApplyRules(split, {{"w", {6}}},
                                  {{"w.0", {1}}, {"w.1", {2}}, {"w.2", {3}}}));
  EXPECT_THAT(KeysOf(parts), ElementsAre("w.0", "w.1", "w.2"));
  EXPECT_EQ(ValuesOf(*parts.tensors[1].value).elements, (Elements{1, 2}));
  EXPECT_THAT(ApplyRules(split, {{"w", {6}}}, {}),
              StatusIs(kInvalid, HasSubstr("into how many parts")));
}

TEST(ConversionTest, ChangesEachTensorByItself) {
  const auto sizes = [](const absl::StatusOr<Values>& values) {
    return values.ok() ? values->sizes : Elements{-1};
  };
  EXPECT_EQ(Changed({TransposeStep{0, -1}}, {2, 3})->elements,
            (Elements{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(sizes(Changed({PermuteStep{{-1, 0, 1}}}, {2, 3, 4})),
            (Elements{4, 2, 3}));
  EXPECT_EQ(sizes(Changed({ReshapeStep{{0, -1}, {-1, 3, 4}}}, {2, 3, 4})),
            (Elements{2, 12}));
  EXPECT_EQ(sizes(Changed({SqueezeStep{-1}, UnsqueezeStep{0}}, {2, 1})),
            (Elements{1, 2}));
}

TEST(ConversionTest, DeinterleavesAsTransformersInterleave) {
  EXPECT_EQ(Changed({DeinterleaveStep{0}}, {6})->elements,
            (Elements{0, 2, 4, 1, 3, 5}));
  EXPECT_EQ(Changed({DeinterleaveStep{0, true}}, {6})->elements,
            (Elements{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(Changed({DeinterleaveStep{-1}}, {1, 4})->elements,
            (Elements{0, 2, 1, 3}));
  EXPECT_THAT(Changed({DeinterleaveStep{0}}, {5}),
              StatusIs(kInvalid, HasSubstr("cannot be divided by 2")));
}

TEST(ConversionTest, PermutesRopeHeadByHead) {
  EXPECT_EQ(Changed({RopeStep{2}}, {8})->elements,
            (Elements{0, 2, 1, 3, 4, 6, 5, 7}));
  EXPECT_EQ(Changed({RopeStep{1}}, {4, 2})->elements,
            (Elements{0, 1, 4, 5, 2, 3, 6, 7}));
  EXPECT_EQ(Changed({RopeStep{2}, RopeStep{2, true}}, {12})->elements,
            (Elements{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
  EXPECT_THAT(Changed({RopeStep{3}}, {8}),
              StatusIs(kInvalid, HasSubstr("cannot be divided by 3")));
}

TEST(ConversionTest, ScalesAndCasts) {
  ASSERT_OK_AND_ASSIGN(
      const RuledTensors ruled,
      ApplyRules(
          {Convert({"a"}, {"b"}, {ScaleStep{0.5}, CastStep{DType::kFloat16}})},
          {{"a", {2}}}, {}));
  const Derivation& cast = *ruled.tensors[0].value;
  EXPECT_EQ(cast.spec.dtype(), DType::kFloat16);
  EXPECT_EQ(std::get<ScaleOp>(cast.operands[0]->op).factor, 0.5);
}

TEST(ConversionTest, WithoutStepsATensorIsOnlyRenamed) {
  ASSERT_OK_AND_ASSIGN(
      const RuledTensors ruled,
      ApplyRules({Convert({"a.{i}"}, {"b.{i}"}, {})}, Keys({"a.0"}), {}));
  EXPECT_THAT(KeysOf(ruled), ElementsAre("b.0"));
  EXPECT_NE(AsSourceTensor(*ruled.tensors[0].value), nullptr);
}

TEST(ConversionTest, AGroupThatLacksATensorIsAnErrorThatNamesItsKey) {
  const KeyRule join =
      Convert({"h.{i}.q", "h.{i}.k"}, {"h.{i}.qk"}, {ConcatStep{0}});
  EXPECT_THAT(
      ApplyRules({join}, Keys({"h.0.q", "h.0.k", "h.1.k"}), {}),
      StatusIs(kInvalid, AllOf(HasSubstr("'h.1.q'"), HasSubstr("'h.1.k'"))));
  const KeyRule stack =
      Convert({"{i}.a", "{i}.b"}, {"ab"}, {StackStep{0}, ConcatStep{0}});
  EXPECT_THAT(ApplyRules({stack}, Keys({"0.a", "2.a", "0.b", "2.b"}), {}),
              StatusIs(kInvalid, HasSubstr("'1.a'")));
  EXPECT_THAT(ApplyRules({stack}, Keys({"0.a", "1.a", "0.b"}), {}),
              StatusIs(kInvalid, HasSubstr("'1.b'")));
  EXPECT_THAT(ApplyRules({stack}, Keys({"0.a", "1.a"}), {}),
              StatusIs(kInvalid, HasSubstr("'0.b'")));
}

TEST(ConversionTest, TensorsThatDoNotFitAreAnErrorThatNamesRuleAndStep) {
  const std::pair<ConvertStep, const char*> cases[] = {
      {TransposeStep{0, 2}, "there is no dimension 2"},
      {PermuteStep{{0}}, "permute"},
      {ReshapeStep{{5}}, "number of elements"},
      {ReshapeStep{{4, -1}}, "no whole size"},
      {ReshapeStep{{0, 0, 0}}, "no dimension 2"},
      {ReshapeStep{{6}, {6}}, "not the shape"},
      {SqueezeStep{0}, "not of size 1"},
      {UnsqueezeStep{4}, "there is no dimension 4"},
      {ConcatStep{0, 1, {3}}, "is not 3"},
      {ConcatStep{0, 1, {2, 2}}, "2 sizes for 1"},
      {SplitStep{0, 1, {3}}, "do not make up"},
      {RopeStep{2}, "divided by 2"},
  };
  for (const auto& [step, problem] : cases) {
    const auto changed = Changed({CastStep{DType::kFloat32}, step}, {2, 3});
    EXPECT_THAT(changed, StatusIs(kInvalid, AllOf(HasSubstr("step 1: "),
                                                  HasSubstr("on 'a'"),
                                                  HasSubstr(problem))));
    ASSERT_FALSE(changed.ok());
    EXPECT_EQ(GetErrorInfo(changed.status())->reason, reason::kInvalidRule);
  }
}

TEST(ConversionTest, TensorsOfOneKeyAreAnErrorUnlessOneHasPriority) {
  KeyRule preferred = RenameRule{"x", "a"};
  const KeyRule convert = Convert({"a"}, {"b"}, {UnsqueezeStep{0}});
  EXPECT_THAT(ApplyRules({preferred, convert}, Keys({"a", "x"}), {}),
              StatusIs(kInvalid, AllOf(HasSubstr("'a'"), HasSubstr("'x'"))));
  preferred.priority = 1;
  ASSERT_OK_AND_ASSIGN(const RuledTensors ruled,
                       ApplyRules({preferred, convert}, Keys({"a", "x"}), {}));
  EXPECT_THAT(KeysOf(ruled), ElementsAre("b"));
  EXPECT_EQ(ValuesOf(*ruled.tensors[0].value).elements, (Elements{1000}));
  EXPECT_THAT(EntriesOf(ruled.shadowed), ElementsAre(0));
}

TEST(ConversionTest, RulesThatCannotBeUsedAreRefusedWithTheirField) {
  const std::pair<KeyRule, const char*> cases[] = {
      {Convert({}, {"a"}, {}), "convert.from: must not be empty"},
      {Convert({"a"}, {}, {}), "convert.to: must not be empty"},
      {Convert({"a", "a"}, {"b"}, {ConcatStep{}}), "convert.from: has a tem"},
      {Convert({"a{"}, {"b"}, {}), "convert.from[0]"},
      {Convert({"a"}, {"b", ""}, {}), "convert.to[1]"},
      {Convert({"a.{2*i}"}, {"b.{i}"}, {}), "convert.from[0]: holds an expr"},
      {Convert({"a.{i}", "b"}, {"c.{i}"}, {}), "convert.from[1]: has other"},
      {Convert({"a.{t*}"}, {"c"}, {}), "convert.from: the text {t*}"},
      {Convert({"a.{i}.{j}"}, {"c"}, {}), "convert.from: both {i} and {j}"},
      {Convert({"a.{i*}"}, {"c.{i}"}, {}), "{i} is a text of `from`"},
      {Convert({"a", "b"}, {"c"}, {}), "convert.steps: they make 2"},
      {Convert({"a.{i}"}, {"b"}, {}), "no step joins"},
      {Convert({"a"}, {"b.{i}"}, {}), "no step makes"},
      {Convert({"a"}, {"b"}, {StackStep{}}), "convert.steps[0]: there is noth"},
      {Convert({"a"}, {"b"}, {UnstackStep{}}), "convert.steps[0]: there is no"},
      {Convert({"a", "b"}, {"c", "d"}, {SplitStep{}}), "more than one tensor"},
      {Convert({"a"}, {"b"}, {ConcatStep{0, 0}}), "groups"},
      {Convert({"a"}, {"b"}, {SplitStep{0, 1, {-1}}}), "below 0"},
      {Convert({"a"}, {"b"}, {ReshapeStep{{-1, -1}}}), "one may be -1"},
      {Convert({"a"}, {"b"}, {RopeStep{0}}), "heads"},
      {Convert({"a"}, {"b"}, {ScaleStep{INFINITY}}), "not finite"},
      {Convert({"a"}, {"b"}, std::vector<ConvertStep>(65, RopeStep{})),
       "more than 64"},
  };
  for (const auto& [rule, problem] : cases) {
    const auto ruled = ApplyRules({rule}, {}, {});
    EXPECT_THAT(ruled, StatusIs(kInvalid, AllOf(HasSubstr("key_rules[0]."),
                                                HasSubstr(problem))));
    ASSERT_FALSE(ruled.ok());
    EXPECT_EQ(GetErrorInfo(ruled.status())->reason, reason::kInvalidRule);
  }
}

TEST(ConversionTest, AHostileShapeCannotAskForAnyNumberOfTensors) {
  EXPECT_THAT(ApplyRules({Convert({"a"}, {"b.{i}"}, {UnstackStep{0}})},
                         {{"a", {int64_t{1} << 40, 0}}}, {}),
              StatusIs(kInvalid, HasSubstr("more than the")));
}

}  // namespace
}  // namespace warmstart::planner
