// Conversion: a ConvertRule, compiled, and its use.

#ifndef WARMSTART_SERVER_PLANNER_RULES_CONVERSION_H_
#define WARMSTART_SERVER_PLANNER_RULES_CONVERSION_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/model/architecture.h"
#include "server/model/key_rule.h"
#include "server/planner/plan.h"
#include "server/planner/rules/convert_steps.h"
#include "server/planner/rules/rule_scope.h"
#include "server/planner/rules/template_matcher.h"
#include "server/planner/target_index.h"
#include "server/planner/tensor_map.h"

namespace warmstart::planner {

class Conversion {
 public:
  // INVALID_ARGUMENT, with the rule's index, for one that cannot be used.
  // `rule`, whose kind is ConvertRule, must outlive the result.
  static absl::StatusOr<Conversion> Create(int index, const KeyRule& rule);

  bool HasSource(int32_t source) const { return scope_.HasSource(source); }

  // Replaces the tensors that look like `from` by those of `to`, each group at
  // the place of its first tensor. Of two with one key, appends to `shadowed`
  // the one of lower priority.
  // INVALID_ARGUMENT where a group lacks a tensor, shapes do not fit, or two of
  // one key have the same priority.
  absl::Status Apply(const PlanSource& source, const Architecture& target,
                     const TargetIndex& index, TensorMap* tensors,
                     std::vector<DerivationPtr>* shadowed) const;

 private:
  // The tensors of one set of shared holes.
  struct Group {
    Holes holes;  // the shared ones
    // For each template, the tensors' positions by the number in the hole that
    // `to` lacks; 0 where there is none.
    std::vector<std::map<int64_t, size_t>> members;
    size_t first;  // position of the first tensor
  };

  Conversion(const KeyRule& rule, RuleScope scope)
      : rule_(&rule), scope_(std::move(scope)) {}

  absl::Status AddTemplates();
  absl::Status AnalyzeHoles();
  absl::StatusOr<std::vector<Group>> CollectGroups(
      const PlanSource& source, const TensorMap& tensors,
      std::vector<size_t>* shadowed) const;
  // The key that a group lacks: each template has the same numbers in its own
  // hole, and none is left out.
  std::optional<std::string> MissingKey(const Group& group) const;
  absl::StatusOr<TensorMap> Convert(const Group& group,
                                    const Architecture& target,
                                    const TargetIndex& index,
                                    const TensorMap& tensors) const;
  // A template's key with the shared holes of a group, and `own` in its own.
  static std::string KeyOf(const KeyTemplate& key_template, const Holes& shared,
                           const std::string& own_hole, int64_t own);

  const KeyRule* rule_;
  RuleScope scope_;
  std::vector<TemplateMatcher> from_;
  std::vector<KeyTemplate> to_;
  std::string from_hole_;  // the one that `to` lacks; "" for none
  std::string to_hole_;    // the one that `from` lacks
  ConvertSteps steps_;
};

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_RULES_CONVERSION_H_
