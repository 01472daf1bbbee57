#include "server/planner/matching/suggest.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/planner/matching/auto_match.h"

namespace warmstart::planner {
namespace {

constexpr size_t kMaxSuggestions = 10;

}  // namespace

std::vector<RuleSuggestion> SuggestRules(const PlanRequest& request,
                                         absl::Span<const SourceKeys> sources,
                                         const TargetIndex& target) {
  std::vector<RuleSuggestion> suggestions;
  for (size_t s = 0; s < sources.size(); ++s) {
    if (request.sources[s].lora.has_value()) continue;
    TensorMap keys = sources[s].keys;
    FoundRules found = MatchKeys(*request.target, target, 0, &keys);
    std::string before;  // rules that supply nothing by themselves
    for (FoundRule& rule : found.rules) {
      if (sources.size() > 1) rule.rule.source = static_cast<int32_t>(s);
      const std::string text = absl::StrCat(before, before.empty() ? "" : " ",
                                            KeyRuleToString(rule.rule));
      if (rule.keys == 0) {
        before = text;
        continue;
      }
      before.clear();
      suggestions.push_back({text, rule.keys, rule.parameters});
    }
  }
  std::stable_sort(suggestions.begin(), suggestions.end(),
                   [](const RuleSuggestion& a, const RuleSuggestion& b) {
                     return a.keys > b.keys;
                   });
  if (suggestions.size() > kMaxSuggestions) suggestions.resize(kMaxSuggestions);
  return suggestions;
}

}  // namespace warmstart::planner
