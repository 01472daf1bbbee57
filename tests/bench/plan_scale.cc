// Plans with 100 rules of all kinds, once they stand kind by kind and once they
// alternate, for 50,000 and 100,000 keys. Prints the processor's times; exits
// with 1 where twice the keys take more than three times as long.

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/planner/plan.h"

namespace warmstart::planner {
namespace {

constexpr int kSmall = 50'000;
constexpr int kLarge = 100'000;
constexpr int kRulesOfAKind = 25;
constexpr double kMaxRatio = 3;

TensorSpec SmallSpec() {
  return TensorSpec::Create(DType::kFloat32, Shape::Create({4, 4}).value())
      .value();
}

std::string KeyOf(int i) {
  static const char* const kParts[] = {"attn.q.weight", "attn.k.weight",
                                       "mlp.fc1.weight", "norm.weight",
                                       "norm.bias"};
  return absl::StrCat("stack", i / 5 % 50, ".layers.", i / 250, ".",
                      kParts[i % 5]);
}

struct Model {
  Manifest manifest;
  Architecture target;

  explicit Model(int keys) {
    target.name = "Net";
    const TensorSpec spec = SmallSpec();
    for (int i = 0; i < keys; ++i) {
      const std::string key = KeyOf(i);
      manifest.entries.push_back(
          {absl::StrCat("module.", key), spec, Digest(), std::nullopt});
      target.entries.push_back(
          {key, spec, EntryKind::kParameter, ConstantInit{0}});
    }
  }
};

KeyRule RuleOf(int kind, int i) {
  switch (kind) {
    case 0:
      return RenameRule{absl::StrCat("module.", KeyOf(i * 3)), KeyOf(i * 3)};
    case 1:
      return RegexRule{absl::StrCat("stack", i, "\\.layers\\.(\\d+)\\.fc"),
                       absl::StrCat("stack", i, ".layers.\\1.mlp.fc")};
    case 2:
      return StripPrefixRule{i == 0 ? "module." : absl::StrCat("m", i, ".")};
    default: {
      const std::string part = absl::StrCat("stack", i, ".layers.{i}.{r*}");
      return TemplateRule{part, part, {}};
    }
  }
}

std::vector<KeyRule> Rules(bool alternating) {
  std::vector<KeyRule> rules;
  for (int n = 0; n < 4 * kRulesOfAKind; ++n) {
    rules.push_back(alternating ? RuleOf(n % 4, n / 4)
                                : RuleOf(n / kRulesOfAKind, n % kRulesOfAKind));
  }
  return rules;
}

// Seconds of the processor (planning is one thread) of the fastest of a few;
// negative where a key was not loaded.
double Measure(const Model& model, const std::vector<KeyRule>& rules) {
  double best = 1e9;
  for (int round = 0; round < 3; ++round) {
    PlanRequest request;
    request.target = &model.target;
    request.sources = {{&model.manifest, "checkpoints/c", ""}};
    request.rules = rules;
    const std::clock_t start = std::clock();
    const absl::StatusOr<Plan> plan = MakePlan(request);
    const double seconds =
        static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    if (!plan.ok() || !plan->report.missing_keys.empty()) return -1;
    best = std::min(best, seconds);
  }
  return best;
}

int Run() {
  const Model small(kSmall);
  const Model large(kLarge);
  bool linear = true;
  for (const bool alternating : {false, true}) {
    const std::vector<KeyRule> rules = Rules(alternating);
    const double small_seconds = Measure(small, rules);
    const double large_seconds = Measure(large, rules);
    if (small_seconds < 0 || large_seconds < 0) {
      std::fprintf(stderr, "the rules do not match every key\n");
      return 1;
    }
    const double ratio = large_seconds / small_seconds;
    std::printf(
        "%-11s  %d keys: %.3f s, %.0f keys/s; %.2f times the time of %d\n",
        alternating ? "alternating" : "by kind", kLarge, large_seconds,
        kLarge / large_seconds, ratio, kSmall);
    linear = linear && ratio <= kMaxRatio;
  }
  return linear ? 0 : 1;
}

}  // namespace
}  // namespace warmstart::planner

int main() { return warmstart::planner::Run(); }
