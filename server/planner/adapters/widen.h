// Net2Net's wider layers.

#ifndef WARMSTART_SERVER_PLANNER_ADAPTERS_WIDEN_H_
#define WARMSTART_SERVER_PLANNER_ADAPTERS_WIDEN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/planner/combining/combine.h"
#include "server/planner/plan.h"
#include "server/planner/source_keys.h"

namespace warmstart::planner {

// Widens what is supplied, by the request's widenings in order. Returns what
// was done, in words, for each target entry; "" where nothing was.
//   INVALID_ARGUMENT  a key that the target does not have, or no source
//                     supplies; slices of one layer that disagree on how many
//                     units there are; fewer units than before. Names the key.
absl::StatusOr<std::vector<std::string>> Widen(const PlanRequest& request,
                                               const TargetIndex& target,
                                               Supplies* supplies);

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_ADAPTERS_WIDEN_H_
