// KeyMapper: rules that change one key at a time, compiled, and their use.

#ifndef WARMSTART_SERVER_PLANNER_RULES_KEY_MAPPER_H_
#define WARMSTART_SERVER_PLANNER_RULES_KEY_MAPPER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/model/key_rule.h"
#include "server/planner/rules/rule_scope.h"

namespace re2 {
class RE2;
}

namespace warmstart::planner {

// Renames are found by a hash table, regular expressions and prefixes all
// together by one automaton, so that a key that no rule matches costs the same
// however many there are.
class KeyMapper {
 public:
  // Whether the rule is one for this class: all but templates and conversions.
  static bool Takes(const KeyRule& rule);

  // Of rules[first] up to, not including, rules[last], all of which it takes.
  // INVALID_ARGUMENT, with the rule's index, for one that cannot be used.
  // `rules` must outlive the mapper.
  static absl::StatusOr<KeyMapper> Create(absl::Span<const KeyRule> rules,
                                          size_t first, size_t last);
  ~KeyMapper();
  KeyMapper(KeyMapper&&) noexcept;
  KeyMapper& operator=(KeyMapper&&) noexcept;

  // Applies the rules that are for this source, in order, each to the result
  // of the one before it. INVALID_ARGUMENT when a rule makes a key too long,
  // empty or not UTF-8.
  absl::Status Map(int32_t source, NamedTensor* tensor) const;

 private:
  struct Rule;
  struct Patterns;

  KeyMapper();

  absl::Status Add(int index, const KeyRule& rule);
  void AddPattern(absl::string_view pattern);
  void FindMatches(absl::string_view key, std::vector<int>* matches) const;
  std::optional<int> ApplyNext(int32_t source, int next,
                               const std::vector<int>& matches,
                               std::string* key) const;

  std::vector<Rule> rules_;
  // Positions in rules_.
  absl::flat_hash_map<absl::string_view, std::vector<int>> renames_;
  std::vector<int> patterned_;  // behind each pattern of patterns_
  std::vector<int> always_;     // prefixes to add
  std::unique_ptr<Patterns> patterns_;
};

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_RULES_KEY_MAPPER_H_
