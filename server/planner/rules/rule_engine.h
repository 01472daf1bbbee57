// RuleEngine: the rules of a request, compiled, and their use on a source.
//
// Rules apply in order, each to what the one before it left: runs of rules that
// change keys one by one (KeyMapper), runs of templates (TemplateRules), and
// conversions.

#ifndef WARMSTART_SERVER_PLANNER_RULES_RULE_ENGINE_H_
#define WARMSTART_SERVER_PLANNER_RULES_RULE_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/model/architecture.h"
#include "server/model/key_rule.h"
#include "server/planner/plan.h"
#include "server/planner/rules/conversion.h"
#include "server/planner/rules/key_mapper.h"
#include "server/planner/rules/template_rules.h"
#include "server/planner/target_index.h"
#include "server/planner/tensor_map.h"

namespace warmstart::planner {

// What becomes of a source's tensors. Each is in exactly one of these.
struct RuledTensors {
  TensorMap tensors;  // each key once, if collisions are resolved
  // Those that `tensors` are not made of: left out by a template rule; or, by
  // priority, another had their key.
  std::vector<SourceOp> left_out;
  std::vector<SourceOp> shadowed;
};

class RuleEngine {
 public:
  // Of the rules from `first` on, which tensors know by their positions in
  // `rules`. `sources` is how many the request has.
  // INVALID_ARGUMENT, with the rule's index, for one that cannot be used.
  // `rules` must outlive the engine.
  static absl::StatusOr<RuleEngine> Create(absl::Span<const KeyRule> rules,
                                           size_t sources, size_t first = 0);

  // `tensors` are those of `source`, which is the request's source number
  // `number`; positions of the rules that change one are added to its `rules`.
  // INVALID_ARGUMENT when a rule cannot be applied, or two tensors of the same
  // priority end on one key.
  absl::StatusOr<RuledTensors> Apply(int32_t number, const PlanSource& source,
                                     const Architecture& target,
                                     const TargetIndex& index,
                                     TensorMap tensors) const;

 private:
  using Stage = std::variant<KeyMapper, TemplateRules, Conversion>;

  RuleEngine() = default;

  // Drops what a template made and the target does not take.
  void DropUntaken(const TargetIndex& index, TensorMap* tensors) const;

  absl::Span<const KeyRule> rules_;
  std::vector<Stage> stages_;
};

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_RULES_RULE_ENGINE_H_
