#include "server/rpc/matching_translation.h"

#include <google/protobuf/text_format.h>

#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/rpc/request_translation.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using ::warmstart::service::FieldOf;
using ::warmstart::testing::StatusIs;

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message))
      << text;
  return message;
}

absl::StatusOr<KeyRule> RuleOf(const std::string& text) {
  return FromProto(Parse<v1::KeyRule>(text), 2);
}

TEST(KeyRuleTranslationTest, TemplatesHaveTheirRanges) {
  ASSERT_OK_AND_ASSIGN(const KeyRule rule, RuleOf(R"(
    template { to: "h.{i}" from: "h.{i-6}" ranges { hole: "i" first: 6 last: 11 } }
    keys: "h.*" source: 1 priority: 3)"));
  KeyRule expected = TemplateRule{"h.{i}", "h.{i-6}", {{"i", 6, 11}}};
  expected.keys = {"h.*"};
  expected.source = 1;
  expected.priority = 3;
  EXPECT_EQ(rule, expected);
}

TEST(KeyRuleTranslationTest, EveryStepIsTranslated) {
  const std::vector<std::pair<std::string, ConvertStep>> steps = {
      {"concat { dim: 1 groups: 4 sizes: 2 sizes: 3 }",
       ConcatStep{1, 4, {2, 3}}},
      {"split { dim: -1 }", SplitStep{-1, 1, {}}},
      {"stack { dim: 1 }", StackStep{1}},
      {"unstack { dim: 1 }", UnstackStep{1}},
      {"transpose {}", TransposeStep{0, 1}},
      {"transpose { dim0: 2 dim1: 0 }", TransposeStep{2, 0}},
      {"permute { dims: 1 dims: 0 }", PermuteStep{{1, 0}}},
      {"reshape { sizes: 0 sizes: -1 from: 4 from: 2 from: 3 }",
       ReshapeStep{{0, -1}, {4, 2, 3}}},
      {"squeeze { dim: 2 }", SqueezeStep{2}},
      {"unsqueeze { dim: 2 }", UnsqueezeStep{2}},
      {"deinterleave { dim: 1 inverse: true }", DeinterleaveStep{1, true}},
      {"rope { heads: 8 inverse: true }", RopeStep{8, true}},
      {"scale { factor: 0.5 }", ScaleStep{0.5}},
      {"cast { dtype: \"bfloat16\" }", CastStep{DType::kBFloat16}},
  };
  for (const auto& [text, expected] : steps) {
    ASSERT_OK_AND_ASSIGN(
        const KeyRule rule,
        RuleOf("convert { from: 'a' to: 'b' steps { " + text + " } }"));
    EXPECT_EQ(rule, KeyRule(ConvertRule{{"a"}, {"b"}, {expected}})) << text;
  }
  std::set<size_t> kinds;
  for (const auto& [text, step] : steps) kinds.insert(step.index());
  EXPECT_THAT(kinds, SizeIs(std::variant_size_v<ConvertStep>));
}

TEST(KeyRuleTranslationTest, ErrorsNameTheField) {
  const absl::Status unknown = RuleOf("").status();
  EXPECT_THAT(unknown, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(FieldOf(unknown), "key_rules[2]");
  EXPECT_EQ(
      FieldOf(RuleOf("convert { steps { squeeze {} } steps {} }").status()),
      "key_rules[2].convert.steps[1]");
  EXPECT_EQ(
      FieldOf(RuleOf("convert { steps { cast { dtype: 'f32' } } }").status()),
      "key_rules[2].convert.steps[0].cast.dtype");
}

TEST(ShapeAdapterTranslationTest, EveryKindIsTranslated) {
  PositionEmbeddingAdapter embedding;
  embedding.prefix_tokens = 0;
  embedding.source_grid = {14, 14};
  embedding.target_grid = {7, 9};
  RowsAdapter rows;
  rows.dim = 1;
  rows.rest = RowsAdapter::Rest::kMean;
  rows.source_labels = {"a"};
  rows.target_labels = {"a", "b"};
  const std::vector<std::pair<std::string, ShapeAdapterKind>> kinds = {
      {"auto {}", AutoAdapter{}},
      {"rows { dim: 1 mean: true source_labels: 'a' target_labels: 'a' "
       "target_labels: 'b' }",
       rows},
      {"input_channels {}", InputChannelsAdapter{}},
      {"inflate {}", InflateAdapter{InflateAdapter::Mode::kAverage}},
      {"inflate { center: true }",
       InflateAdapter{InflateAdapter::Mode::kCenter}},
      {"position_embedding { prefix_tokens: 0 source_grid: 14 source_grid: 14 "
       "target_grid: 7 target_grid: 9 }",
       embedding},
      {"position_embedding_1d {}", PositionEmbedding1dAdapter{}},
      {"relative_position_bias { source_window: 7 source_window: 7 }",
       RelativePositionBiasAdapter{{7, 7}, {}}},
      {"patch_embedding {}", PatchEmbeddingAdapter{}},
      {"slice_and_pad { fill: 0 }", SliceAndPadAdapter{0}},
      {"slice_and_pad {}", SliceAndPadAdapter{}},
  };
  for (const auto& [text, expected] : kinds) {
    ASSERT_OK_AND_ASSIGN(
        const ShapeAdapter adapter,
        FromProto(Parse<v1::ShapeAdapter>("keys: 'k' " + text), 0));
    EXPECT_EQ(adapter, (ShapeAdapter{"k", expected})) << text;
  }
  EXPECT_EQ(FieldOf(FromProto(v1::ShapeAdapter(), 4).status()),
            "shape_adapters[4]");
}

TEST(MatchingTranslationTest, CombinationsAreTranslated) {
  const auto combination = [](const std::string& text) {
    return FromProto(Parse<v1::Combination>(text));
  };
  EXPECT_EQ(combination(""), planner::Combination(planner::Overlay{}));
  EXPECT_EQ(combination("weighted_average {}"),
            planner::Combination(planner::WeightedAverage{true}));
  EXPECT_EQ(combination("weighted_average { unnormalized: true }"),
            planner::Combination(planner::WeightedAverage{false}));
  EXPECT_EQ(combination("moving_average { decay: 0.9 }"),
            planner::Combination(planner::MovingAverage{0.9}));
  EXPECT_EQ(combination("slerp { t: 0.25 }"),
            planner::Combination(planner::SphericalInterpolation{0.25}));
  EXPECT_EQ(combination("task_arithmetic {}"),
            planner::Combination(planner::TaskArithmetic{}));
}

TEST(MatchingTranslationTest, ARequestHasItAll) {
  ASSERT_OK_AND_ASSIGN(const service::WarmStartRequest request,
                       FromProto(Parse<v1::WarmStartRequest>(R"(
        sources { checkpoint: "a" weight: 0 }
        sources { checkpoint: "b" lora { alpha: 16 rslora: true } }
        invert_key_rules: true
        key_matching: KEY_MATCHING_AUTO
        combination { task_arithmetic {} }
        shape_adapters { keys: "*" auto {} }
        widenings { outputs { key: "w" } inputs { key: "v" dim: 1 } }
        initializers { keys: "*" initializer { ones {} } }
        coverage_gates { keys: "b.*" min_coverage: 0.5 }
        expected_missing: "m" expected_unexpected: "u"
        refuse_non_finite: true
        on_shape_mismatch: SHAPE_MISMATCH_POLICY_ADAPT)")));
  EXPECT_EQ(request.sources[0].weight, 0);
  EXPECT_EQ(request.sources[0].lora, std::nullopt);
  EXPECT_EQ(request.sources[1].weight, 1);
  EXPECT_EQ(request.sources[1].lora, (planner::LoraAdapter{16, true}));
  EXPECT_TRUE(request.invert_rules);
  EXPECT_EQ(request.matching, planner::Matching::kAuto);
  EXPECT_EQ(request.combination,
            planner::Combination(planner::TaskArithmetic{}));
  EXPECT_THAT(request.shape_adapters, SizeIs(1));
  EXPECT_THAT(request.widenings, ElementsAre(Widening{{{"w", 0}}, {{"v", 1}}}));
  EXPECT_THAT(request.initializers,
              ElementsAre(planner::InitializerOverride{"*", ConstantInit{1}}));
  EXPECT_THAT(request.coverage_gates,
              ElementsAre(planner::CoverageGate{"b.*", 0.5}));
  EXPECT_THAT(request.expected_missing, ElementsAre("m"));
  EXPECT_THAT(request.expected_unexpected, ElementsAre("u"));
  EXPECT_TRUE(request.refuse_non_finite);
  EXPECT_EQ(request.on_shape_mismatch, planner::ShapePolicy::kAdapt);
}

TEST(MatchingTranslationTest, UnknownNumbersAreRefused) {
  v1::WarmStartRequest request;
  request.set_key_matching(static_cast<v1::KeyMatching>(9));
  EXPECT_EQ(FieldOf(FromProto(request).status()), "key_matching");
}

}  // namespace
}  // namespace warmstart::rpc
