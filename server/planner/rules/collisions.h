// Two tensors of one source that end on one key.

#ifndef WARMSTART_SERVER_PLANNER_RULES_COLLISIONS_H_
#define WARMSTART_SERVER_PLANNER_RULES_COLLISIONS_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/model/derivation.h"
#include "server/planner/plan.h"
#include "server/planner/tensor_map.h"

namespace warmstart::planner {

// Whether `second`, of the two, is the one of higher priority.
// INVALID_ARGUMENT, naming both by the keys of the source that they are made
// of, where neither is.
absl::StatusOr<bool> WinsCollision(const PlanSource& source,
                                   const NamedTensor& first,
                                   const NamedTensor& second);

// Leaves each key once, the others' values are appended to `shadowed`.
absl::Status ResolveCollisions(const PlanSource& source, TensorMap* tensors,
                               std::vector<DerivationPtr>* shadowed);

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_RULES_COLLISIONS_H_
