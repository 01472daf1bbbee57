// TemplateRules: template rules that follow each other, compiled, and their
// use. They all see the same keys.

#ifndef WARMSTART_SERVER_PLANNER_RULES_TEMPLATE_RULES_H_
#define WARMSTART_SERVER_PLANNER_RULES_TEMPLATE_RULES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/model/architecture.h"
#include "server/model/key_rule.h"
#include "server/planner/rules/rule_scope.h"
#include "server/planner/rules/template_matcher.h"
#include "server/planner/tensor_map.h"

namespace warmstart::planner {

// Where the holes of `to` follow from those of `from` ("h.{2*i}"), a source key
// says which keys it supplies, and rules behind this one may go on changing
// them; those that end on no key of the target are dropped in the end. Where
// they do not ("h.{i/2}"), the target's keys are asked which they take.
class TemplateRules {
 public:
  // Of rules[first] up to, not including, rules[last], all of them templates.
  // INVALID_ARGUMENT, with the rule's index, for one that cannot be used.
  // `rules` must outlive the result.
  static absl::StatusOr<TemplateRules> Create(absl::Span<const KeyRule> rules,
                                              size_t first, size_t last);

  // Whether there is one for this source.
  bool HasSource(int32_t source) const;

  // Replaces tensors that look like a rule's `from` by those that are taken
  // from them. INVALID_ARGUMENT where an expression cannot be computed.
  absl::Status Apply(int32_t source, const Architecture& target,
                     TensorMap* tensors) const;

 private:
  struct Rule {
    const KeyRule* rule;
    const TemplateRule* kind;
    RuleScope scope;
    TemplateMatcher to;
    TemplateMatcher from;
    bool follows;  // the holes of `to` follow from those of `from`
  };
  // By source key: which rules make which keys of it.
  using Wishes =
      absl::flat_hash_map<std::string,
                          std::vector<std::pair<const Rule*, std::string>>>;

  TemplateRules() = default;

  static absl::StatusOr<Rule> Compile(int index, const KeyRule& rule);
  absl::StatusOr<Wishes> CollectWishes(int32_t source,
                                       const Architecture& target) const;
  static bool Sees(const Rule& rule, int32_t source, absl::string_view key);
  // Appends to `made` what is taken from `tensor`, which a rule sees.
  absl::Status Replace(int32_t source, const Wishes& wishes,
                       const NamedTensor& tensor, TensorMap* made) const;

  std::vector<Rule> rules_;
};

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_RULES_TEMPLATE_RULES_H_
