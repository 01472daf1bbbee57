// What became of each tensor of the sources.

#ifndef WARMSTART_SERVER_PLANNER_SOURCE_OUTCOMES_H_
#define WARMSTART_SERVER_PLANNER_SOURCE_OUTCOMES_H_

#include "absl/types/span.h"
#include "server/planner/combining/combine.h"
#include "server/planner/plan.h"
#include "server/planner/source_keys.h"

namespace warmstart::planner {

// Fills in the report's source entries and unexpected keys, once all entries of
// the target are assigned.
void ReportSources(const PlanRequest& request,
                   absl::Span<const SourceKeys> sources,
                   const Supplies& supplies, const TargetIndex& target,
                   Plan* plan);

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_SOURCE_OUTCOMES_H_
