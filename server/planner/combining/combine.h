// How several sources become one: for each key of the target, the value that
// the sources together supply.

#ifndef WARMSTART_SERVER_PLANNER_COMBINING_COMBINE_H_
#define WARMSTART_SERVER_PLANNER_COMBINING_COMBINE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/model/derivation.h"
#include "server/planner/plan.h"
#include "server/planner/source_keys.h"
#include "server/planner/tensor_map.h"

namespace warmstart::planner {

// What the sources supply for one key of the target.
struct Supply {
  DerivationPtr value;  // null: nothing
  std::vector<int> rules;
};

struct Supplies {
  std::vector<Supply> entries;  // one for each of the target, in order
  std::vector<std::string> notes;
};

// INVALID_ARGUMENT, with the field, for numbers that make no combination: what
// is not finite, weights that sum to zero, other than two sources to
// interpolate between.
absl::Status CheckCombination(const PlanRequest& request);

// Combines the sources that are no LoRA adapters. A key that only some of them
// have is made of those, their weights scaled up to what all weights sum to.
//   INVALID_ARGUMENT  shapes that differ, with the key and the sources
absl::StatusOr<Supplies> Combine(const PlanRequest& request,
                                 absl::Span<const SourceKeys> sources,
                                 const TargetIndex& target);

// Adds those of `more` that `rules` does not have, at the end.
void AddRules(absl::Span<const int> more, std::vector<int>* rules);

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_COMBINING_COMBINE_H_
