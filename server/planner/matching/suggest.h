// Rules that would match more, for the report.

#ifndef WARMSTART_SERVER_PLANNER_MATCHING_SUGGEST_H_
#define WARMSTART_SERVER_PLANNER_MATCHING_SUGGEST_H_

#include <vector>

#include "absl/types/span.h"
#include "server/model/report.h"
#include "server/planner/plan.h"
#include "server/planner/source_keys.h"

namespace warmstart::planner {

// What automatic matching would do with the sources' keys, those that supply
// most keys first, at most ten. A rule that helps only together with others
// before it is given with them, as one text.
std::vector<RuleSuggestion> SuggestRules(const PlanRequest& request,
                                         absl::Span<const SourceKeys> sources,
                                         const TargetIndex& target);

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_MATCHING_SUGGEST_H_
