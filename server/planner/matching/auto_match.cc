#include "server/planner/matching/auto_match.h"

#include <optional>
#include <utility>

#include "server/planner/matching/key_pairing.h"
#include "server/planner/matching/rule_finders.h"

namespace warmstart::planner {
namespace {

// A prefix more is found by a look at all open keys; nobody has that many.
constexpr int kMaxPrefixes = 16;

class Matcher {
 public:
  Matcher(const Architecture& target, const TargetIndex& index, int first_index,
          TensorMap* keys)
      : pairing_(target, index, keys), next_index_(first_index) {}

  FoundRules Run() {
    if (pairing_.complete()) return {};
    while (auto proposed = FindInnerWrapper(pairing_)) {
      Take(*std::move(proposed));
    }
    PrefixFinder prefixes;
    for (int i = 0; i < kMaxPrefixes && !pairing_.complete(); ++i) {
      std::optional<ProposedRule> proposed = prefixes.Next(pairing_);
      if (!proposed.has_value()) break;
      Take(*std::move(proposed));
    }
    found_.notes = prefixes.notes();
    if (!pairing_.complete()) {
      TakeAll(FindSuffixes(pairing_, &found_.notes));
    }
    if (!pairing_.complete()) {
      TakeAll(FindStructure(pairing_, &found_.notes));
    }
    return std::move(found_);
  }

 private:
  void Record(ProposedRule proposed) {
    FoundRule rule;
    rule.rule = std::move(proposed.rule);
    rule.renamed = static_cast<int64_t>(proposed.renames.size());
    for (size_t entry : pairing_.Gained(proposed.renames)) {
      rule.keys += 1;
      rule.parameters += pairing_.target().entries[entry].spec.num_elements();
    }
    found_.rules.push_back(std::move(rule));
  }

  void Take(ProposedRule proposed) { TakeAll({std::move(proposed)}); }

  // No two of them change the same key.
  void TakeAll(std::vector<ProposedRule> proposals) {
    std::vector<Renames> renames;
    for (ProposedRule& proposed : proposals) {
      renames.push_back(proposed.renames);
      Record(std::move(proposed));
    }
    pairing_.Apply(renames, next_index_);
    next_index_ += static_cast<int>(renames.size());
  }

  KeyPairing pairing_;
  int next_index_;
  FoundRules found_;
};

}  // namespace

FoundRules MatchKeys(const Architecture& target, const TargetIndex& index,
                     int first_index, TensorMap* keys) {
  return Matcher(target, index, first_index, keys).Run();
}

}  // namespace warmstart::planner
