// ConvertSteps: the steps of a ConvertRule, checked against its templates, and
// their use on the tensors of one conversion.

#ifndef WARMSTART_SERVER_PLANNER_RULES_CONVERT_STEPS_H_
#define WARMSTART_SERVER_PLANNER_RULES_CONVERT_STEPS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/model/derivation.h"
#include "server/model/key_rule.h"

namespace warmstart::planner {

// A list for each template: of `from` first, of `to` in the end. A template
// without a hole of its own has a list of one.
using TensorLists = std::vector<std::vector<DerivationPtr>>;

class ConvertSteps {
 public:
  // Whether the templates of `from` have a hole that those of `to` lack, whose
  // tensors are stacked or joined, and the other way about.
  struct OwnHoles {
    bool from = false;
    bool to = false;
  };
  // The shape of the target's tensor whose key is that of template `to` with
  // `index` in its own hole; null where the target has none.
  using TargetShape = absl::FunctionRef<const Shape*(size_t to, int64_t index)>;

  // INVALID_ARGUMENT, about the step of rule `index`, for steps that no tensors
  // could take: a split of two tensors, a stack of one, lists that remain.
  // `rule` must outlive the result.
  static absl::StatusOr<ConvertSteps> Create(int index, const ConvertRule& rule,
                                             OwnHoles own_holes);

  // INVALID_ARGUMENT, naming the step, when shapes do not fit.
  absl::StatusOr<TensorLists> Run(TensorLists lists,
                                  TargetShape target_shape) const;

 private:
  class Check;
  class Runner;

  // What the lists are of.
  enum class Axis { kNone, kFrom, kTo };
  struct Step {
    const ConvertStep* step;
    Axis axis;  // before it
    // A concat joins what is at the same place of the lists, and not all; a
    // split makes lists.
    bool by_lists = false;
  };

  std::vector<Step> steps_;
  size_t to_count_ = 0;
};

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_RULES_CONVERT_STEPS_H_
