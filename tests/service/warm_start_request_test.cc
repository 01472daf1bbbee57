#include "server/service/warm_start_request.h"

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::warmstart::testing::StatusIs;

using Change = std::function<void(WarmStartRequest&)>;

WarmStartRequest Base() {
  WarmStartRequest request;
  request.architecture = "NetB";
  request.sources = {{"checkpoints/a", ""}, {"checkpoints/b", ""}};
  request.rules = {RenameRule{"a", "b"}};
  request.seed = 7;
  return request;
}

Change WithAdapter(const ShapeAdapterKind& kind) {
  return [=](WarmStartRequest& r) { r.shape_adapters = {{"*", kind}}; };
}
Change WithInitializer(const Initializer& initializer) {
  return [=](WarmStartRequest& r) { r.initializers = {{"*", initializer}}; };
}
Change WithRule(const KeyRule& rule) {
  return [=](WarmStartRequest& r) { r.rules = {rule}; };
}
KeyRule Scoped(const std::function<void(KeyRule&)>& scope) {
  KeyRule rule = RenameRule{"a", "b"};
  scope(rule);
  return rule;
}

// No two of these ask for the same.
std::vector<Change> Changes() {
  using planner::MovingAverage;
  using planner::SphericalInterpolation;
  using planner::TaskArithmetic;
  using planner::WeightedAverage;
  return {
      [](WarmStartRequest&) {},
      [](WarmStartRequest& r) { r.architecture = "NetA"; },
      [](WarmStartRequest& r) { r.sources.pop_back(); },
      [](WarmStartRequest& r) { r.sources[0].checkpoint = "checkpoints/c"; },
      [](WarmStartRequest& r) { r.sources[0].subtree = "model"; },
      [](WarmStartRequest& r) { r.sources[1].subtree = "model"; },
      [](WarmStartRequest& r) { r.sources[0].weight = 2; },
      // Numbers that look the same in six digits.
      [](WarmStartRequest& r) { r.sources[0].weight = 2.00000001; },
      [](WarmStartRequest& r) { r.sources[1].lora.emplace(); },
      [](WarmStartRequest& r) { r.sources[1].lora = {16, false}; },
      [](WarmStartRequest& r) { r.sources[1].lora = {16, true}; },
      WithRule(RenameRule{"a", "b=c"}),
      WithRule(RenameRule{"a=b", "c"}),
      WithRule(RegexRule{"a", "b"}),
      WithRule(AddPrefixRule{"a"}),
      WithRule(StripPrefixRule{"a"}),
      WithRule(Scoped([](KeyRule& rule) { rule.keys = {"x"}; })),
      WithRule(Scoped([](KeyRule& rule) { rule.source = 0; })),
      WithRule(Scoped([](KeyRule& rule) { rule.source = 1; })),
      WithRule(Scoped([](KeyRule& rule) { rule.priority = 1; })),
      [](WarmStartRequest& r) { r.invert_rules = true; },
      [](WarmStartRequest& r) { r.include = {"x"}; },
      [](WarmStartRequest& r) { r.exclude = {"x"}; },
      [](WarmStartRequest& r) { r.matching = planner::Matching::kAuto; },
      [](WarmStartRequest& r) { r.combination = WeightedAverage{}; },
      [](WarmStartRequest& r) { r.combination = WeightedAverage{false}; },
      [](WarmStartRequest& r) { r.combination = MovingAverage{0.5}; },
      [](WarmStartRequest& r) { r.combination = SphericalInterpolation{0.5}; },
      [](WarmStartRequest& r) { r.combination = TaskArithmetic{}; },
      WithAdapter(AutoAdapter{}),
      [](WarmStartRequest& r) { r.shape_adapters = {{"a", AutoAdapter{}}}; },
      WithAdapter(RowsAdapter{}),
      WithAdapter(RowsAdapter{.dim = 1}),
      WithAdapter(RowsAdapter{.rest = RowsAdapter::Rest::kMean}),
      WithAdapter(RowsAdapter{.source_labels = {"a", "b"}}),
      WithAdapter(RowsAdapter{.target_labels = {"a", "b"}}),
      WithAdapter(RowsAdapter{.source_labels = {"a"}, .target_labels = {"b"}}),
      WithAdapter(InputChannelsAdapter{}),
      WithAdapter(InflateAdapter{}),
      WithAdapter(InflateAdapter{InflateAdapter::Mode::kCenter}),
      WithAdapter(PositionEmbeddingAdapter{}),
      WithAdapter(PositionEmbeddingAdapter{.prefix_tokens = 0}),
      WithAdapter(PositionEmbeddingAdapter{.source_grid = {2, 3}}),
      WithAdapter(PositionEmbeddingAdapter{.target_grid = {2, 3}}),
      WithAdapter(PositionEmbedding1dAdapter{}),
      WithAdapter(RelativePositionBiasAdapter{}),
      WithAdapter(RelativePositionBiasAdapter{.source_window = {7, 7}}),
      WithAdapter(RelativePositionBiasAdapter{.target_window = {7, 7}}),
      WithAdapter(PatchEmbeddingAdapter{}),
      WithAdapter(SliceAndPadAdapter{}),
      WithAdapter(SliceAndPadAdapter{0.0}),
      [](WarmStartRequest& r) { r.widenings = {{{{"a", 0}}, {{"b", 1}}}}; },
      [](WarmStartRequest& r) { r.widenings = {{{{"a", 0}}, {{"b", 0}}}}; },
      [](WarmStartRequest& r) { r.widenings = {{{}, {{"a", 0}, {"b", 1}}}}; },
      WithInitializer(ConstantInit{0}),
      WithInitializer(ConstantInit{1}),
      WithInitializer(NormalInit{0, 1}),
      WithInitializer(NormalInit{1, 0}),
      WithInitializer(UniformInit{0, 1}),
      WithInitializer(KaimingUniformInit{}),
      WithInitializer(KaimingUniformInit{.mode = FanMode::kFanOut}),
      WithInitializer(KaimingUniformInit{.nonlinearity = Nonlinearity::kRelu}),
      WithInitializer(FanInUniformInit{1}),
      [](WarmStartRequest& r) { r.strict = true; },
      [](WarmStartRequest& r) {
        r.on_shape_mismatch = planner::ShapePolicy::kSkip;
      },
      [](WarmStartRequest& r) {
        r.on_shape_mismatch = planner::ShapePolicy::kAdapt;
      },
      [](WarmStartRequest& r) {
        r.on_dtype_mismatch = planner::DTypePolicy::kKeep;
      },
      [](WarmStartRequest& r) { r.min_coverage = 0.5; },
      [](WarmStartRequest& r) { r.coverage_gates = {{"a.*", 1}}; },
      [](WarmStartRequest& r) { r.coverage_gates = {{"a.*", 0.5}}; },
      [](WarmStartRequest& r) { r.expected_missing = {"x"}; },
      [](WarmStartRequest& r) { r.expected_unexpected = {"x"}; },
      [](WarmStartRequest& r) { r.refuse_non_finite = true; },
      [](WarmStartRequest& r) { r.device = "cpu"; },
      [](WarmStartRequest& r) { r.seed = 8; },
      [](WarmStartRequest& r) { r.seed.reset(); },
      [](WarmStartRequest& r) { r.options.labels = {{"a", "b"}}; },
      [](WarmStartRequest& r) { r.options.alias = "x"; },
  };
}

TEST(WarmStartFingerprintTest, EveryFieldCounts) {
  std::set<std::string> seen;
  const std::vector<Change> changes = Changes();
  for (size_t i = 0; i < changes.size(); ++i) {
    WarmStartRequest request = Base();
    changes[i](request);
    EXPECT_TRUE(seen.insert(FingerprintOf(request).ToHex()).second) << i;
    EXPECT_EQ(FingerprintOf(request), FingerprintOf(request));
  }
}

TEST(WarmStartFingerprintTest, TheIdAndADryRunDoNotCount) {
  WarmStartRequest request = Base();
  request.options.request_id = "id";
  request.validate_only = true;
  EXPECT_EQ(FingerprintOf(request), FingerprintOf(Base()));
}

TEST(WarmStartCountsTest, WhatIsListedIsLimited) {
  const auto allowed = [](const Change& change) {
    WarmStartRequest request = Base();
    change(request);
    return CheckCounts(request);
  };
  const std::vector<std::pair<std::string, std::function<Change(size_t)>>>
      fields = {
          {"include",
           [](size_t n) -> Change {
             return [=](WarmStartRequest& r) { r.include.resize(n); };
           }},
          {"key_rules",
           [](size_t n) -> Change {
             return [=](WarmStartRequest& r) { r.rules.resize(n); };
           }},
          {"shape_adapters",
           [](size_t n) -> Change {
             return [=](WarmStartRequest& r) { r.shape_adapters.resize(n); };
           }},
          {"widenings",
           [](size_t n) -> Change {
             return [=](WarmStartRequest& r) { r.widenings.resize(n); };
           }},
          {"initializers",
           [](size_t n) -> Change {
             return [=](WarmStartRequest& r) { r.initializers.resize(n); };
           }},
          {"coverage_gates",
           [](size_t n) -> Change {
             return [=](WarmStartRequest& r) { r.coverage_gates.resize(n); };
           }},
          {"expected_missing",
           [](size_t n) -> Change {
             return [=](WarmStartRequest& r) { r.expected_missing.resize(n); };
           }},
          {"expected_unexpected",
           [](size_t n) -> Change {
             return
                 [=](WarmStartRequest& r) { r.expected_unexpected.resize(n); };
           }},
  };
  for (const auto& [field, sized] : fields) {
    EXPECT_OK(allowed(sized(1000))) << field;
    const absl::Status refused = allowed(sized(1001));
    EXPECT_THAT(refused, StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_EQ(FieldOf(refused), field);
  }
}

TEST(WarmStartCountsTest, WhatRulesAndAdaptersListIsLimitedTogether) {
  WarmStartRequest request = Base();
  ConvertRule convert;
  convert.from.resize(5000);
  request.rules = {KeyRule(convert), KeyRule(convert)};
  EXPECT_OK(CheckCounts(request));
  request.rules[0].keys = {"*"};
  EXPECT_THAT(CheckCounts(request),
              StatusIs(absl::StatusCode::kInvalidArgument));

  request = Base();
  request.widenings.resize(2);
  request.widenings[0].outputs.resize(10000);
  EXPECT_OK(CheckCounts(request));
  request.widenings[1].inputs.resize(1);
  EXPECT_THAT(CheckCounts(request),
              StatusIs(absl::StatusCode::kInvalidArgument));

  request = Base();
  RowsAdapter rows;
  rows.source_labels.resize(size_t{1} << 20);
  rows.target_labels.resize(size_t{1} << 20);
  request.shape_adapters = {{"*", rows}};
  EXPECT_OK(CheckCounts(request));
  request.shape_adapters.push_back({"*", RowsAdapter{.source_labels = {"a"}}});
  EXPECT_THAT(CheckCounts(request),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace warmstart::service
