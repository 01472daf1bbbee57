// Tied weights: several keys of the target that are one tensor.

#ifndef WARMSTART_SERVER_PLANNER_TIES_H_
#define WARMSTART_SERVER_PLANNER_TIES_H_

#include "server/model/architecture.h"
#include "server/planner/plan.h"

namespace warmstart::planner {

// Gives all keys of a tied group one value. load_state_dict() copies key after
// key into what is one tensor, so the last one that is loaded wins; where none
// is, all are initialised alike.
void TieEntries(const Architecture& target, Plan* plan);

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_TIES_H_
