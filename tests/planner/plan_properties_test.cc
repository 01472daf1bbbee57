// Properties that hold for every plan, tried on thousands of random ones.

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/planner/plan.h"
#include "tests/planner/builders.h"

namespace warmstart::planner {
namespace {

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  int Below(int limit) {
    return std::uniform_int_distribution<int>(0, limit - 1)(random_);
  }
  bool Chance(int percent) { return Below(100) < percent; }

  std::string Key() {
    static const char* const kParts[] = {"a", "b", "conv", "fc", "m"};
    std::string key;
    for (int i = Below(3); i >= 0; --i) {
      if (!key.empty()) key += ".";
      key += kParts[Below(5)];
    }
    return key;
  }

  std::vector<Tensor> Tensors() {
    std::map<std::string, Tensor> tensors;
    for (int i = Below(12) + 1; i > 0; --i) {
      const std::string key = Key();
      tensors[key] = {
          key, Chance(80) ? std::vector<int64_t>{2} : std::vector<int64_t>{3},
          Chance(80) ? DType::kFloat32 : DType::kFloat16};
    }
    std::vector<Tensor> shuffled;
    for (auto& [key, tensor] : tensors) shuffled.push_back(tensor);
    std::shuffle(shuffled.begin(), shuffled.end(), random_);
    return shuffled;
  }

  Combination Kind(size_t sources) {
    switch (Below(6)) {
      case 0:
        return WeightedAverage{};
      case 1:
        return MovingAverage{0.9};
      case 2:
        return TaskArithmetic{};
      case 3:
        if (sources == 2) return SphericalInterpolation{0.3};
        return Overlay{};
      default:
        return Overlay{};
    }
  }

  KeyRule Rule() {
    switch (Below(4)) {
      case 0:
        return RenameRule{Key(), Key()};
      case 1:
        return RegexRule{"a\\.(.*)", "b.\\1"};
      case 2:
        return StripPrefixRule{"m."};
      default:
        return AddPrefixRule{"m."};
    }
  }

 private:
  std::mt19937 random_;
};

class PlanPropertiesTest : public ::testing::TestWithParam<int> {};

TEST_P(PlanPropertiesTest, EveryKeyHasOneOutcomeAndNoneIsUsedTwice) {
  int planned = 0;
  for (int round = 0; round < 1000; ++round) {
    Generator generate(GetParam() * 1000 + round);
    const Architecture target = MakeArchitecture("Net", generate.Tensors());
    std::vector<Manifest> manifests;
    for (int i = generate.Below(3); i >= 0; --i) {
      manifests.push_back(MakeManifest(generate.Tensors()));
    }
    PlanRequest request;
    request.target = &target;
    for (const Manifest& manifest : manifests) {
      request.sources.push_back({&manifest, "checkpoints/c", ""});
    }
    for (int i = generate.Below(3); i > 0; --i) {
      request.rules.push_back(generate.Rule());
    }
    if (generate.Chance(30)) request.exclude = {"fc*"};
    if (generate.Chance(50)) request.on_shape_mismatch = ShapePolicy::kSkip;
    if (generate.Chance(20)) request.on_shape_mismatch = ShapePolicy::kAdapt;
    if (generate.Chance(30)) request.matching = Matching::kAuto;
    request.combination = generate.Kind(manifests.size());
    request.on_dtype_mismatch =
        generate.Chance(30) ? DTypePolicy::kKeep : DTypePolicy::kCast;
    if (generate.Chance(20)) request.strict = true;

    const absl::StatusOr<Plan> plan = MakePlan(request);
    if (!plan.ok()) {  // two keys on one, two shapes to combine
      EXPECT_EQ(plan.status().code(), absl::StatusCode::kInvalidArgument);
      continue;
    }
    ++planned;
    const MatchReport& report = plan->report;
    ASSERT_EQ(plan->assignments.size(), target.entries.size());
    ASSERT_EQ(report.entries.size(), target.entries.size());

    size_t source_keys = 0;
    for (const Manifest& manifest : manifests) {
      source_keys += manifest.entries.size();
    }
    ASSERT_EQ(report.source_entries.size(), source_keys);

    std::set<std::pair<int, int64_t>> used;
    int64_t initialized = 0;
    for (size_t i = 0; i < plan->assignments.size(); ++i) {
      const DerivationPtr& value = plan->assignments[i].value;
      EXPECT_EQ(report.entries[i].key, target.entries[i].key);
      if (value == nullptr) {
        ++initialized;
        EXPECT_EQ(report.entries[i].outcome, TargetOutcome::kInitialized);
        continue;
      }
      EXPECT_NE(report.entries[i].outcome, TargetOutcome::kInitialized);
      EXPECT_EQ(value->spec, report.entries[i].spec);
      EXPECT_EQ(value->spec.shape(), target.entries[i].spec.shape());
      const auto sources = SourcesOf(*value);
      ASSERT_FALSE(sources.empty());
      for (const SourceOp& source : sources) {
        EXPECT_TRUE(used.insert({source.source, source.entry}).second);
      }
      EXPECT_EQ(report.entries[i].source_key,
                manifests[sources[0].source].entries[sources[0].entry].key);
    }
    EXPECT_EQ(report.coverage.keys_loaded,
              static_cast<int64_t>(target.entries.size()) - initialized);
    const auto reported_used =
        std::count_if(report.source_entries.begin(),
                      report.source_entries.end(), [](const SourceReport& e) {
                        return e.outcome == SourceOutcome::kUsed;
                      });
    EXPECT_EQ(static_cast<size_t>(reported_used), used.size());
    const auto reported_unexpected =
        std::count_if(report.source_entries.begin(),
                      report.source_entries.end(), [](const SourceReport& e) {
                        return e.outcome == SourceOutcome::kUnexpected;
                      });
    EXPECT_EQ(static_cast<size_t>(reported_unexpected),
              report.unexpected_keys.size());

    // The same request gives the same plan.
    const absl::StatusOr<Plan> again = MakePlan(request);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(MatchReportToJson(again->report), MatchReportToJson(report));
    EXPECT_EQ(again->verdict, plan->verdict);
  }
  EXPECT_GT(planned, 500);
}

INSTANTIATE_TEST_SUITE_P(Seeds, PlanPropertiesTest, ::testing::Range(0, 5));

}  // namespace
}  // namespace warmstart::planner
