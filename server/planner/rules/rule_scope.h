// What all kinds of rules have in common once they are compiled: what they
// apply to, how their errors read, and the credit that they take.

#ifndef WARMSTART_SERVER_PLANNER_RULES_RULE_SCOPE_H_
#define WARMSTART_SERVER_PLANNER_RULES_RULE_SCOPE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/key_rule.h"
#include "server/model/key_template.h"
#include "server/planner/glob.h"
#include "server/planner/tensor_map.h"

namespace warmstart::planner {

// A key longer than this is refused: rules that double a key, one after the
// other, would not end.
inline constexpr size_t kMaxKeyBytes = size_t{16} * 1024;

// Rule `index` of the request.
class RuleScope {
 public:
  // INVALID_ARGUMENT for globs that are none.
  static absl::StatusOr<RuleScope> Create(int index, const KeyRule& rule);

  int index() const { return index_; }
  bool HasSource(int32_t source) const {
    return !source_.has_value() || *source_ == source;
  }
  bool HasKey(absl::string_view key) const {
    return keys_.empty() || keys_.Matches(key);
  }
  // Notes on `tensor` that the rule changed it.
  void Credit(NamedTensor* tensor) const;

 private:
  RuleScope(int index, const KeyRule& rule, GlobSet keys)
      : index_(index),
        source_(rule.source),
        priority_(rule.priority),
        keys_(std::move(keys)) {}

  int index_;
  std::optional<int32_t> source_;
  int32_t priority_;
  GlobSet keys_;
};

// INVALID_ARGUMENT about a part of a rule that cannot be used:
// "key_rules[3].template.from: ...".
absl::Status InvalidRule(int index, absl::string_view part,
                         absl::string_view problem);

// Refuses text that is too long or not UTF-8, and empty text unless it may be.
absl::Status CheckRuleText(int index, absl::string_view part,
                           absl::string_view text, bool may_be_empty = false);

absl::StatusOr<KeyTemplate> ParseRuleTemplate(int index, absl::string_view part,
                                              absl::string_view text);

// INVALID_ARGUMENT where `rule` made of `original` what no key can be.
absl::Status CheckMadeKey(const KeyRule& rule, absl::string_view original,
                          absl::string_view key);

// INVALID_ARGUMENT: `rule` failed on the tensor `key`.
absl::Status RuleFailed(const KeyRule& rule, absl::string_view key,
                        absl::string_view problem);

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_RULES_RULE_SCOPE_H_
