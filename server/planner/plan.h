// MakePlan: which tensor of which source becomes which entry of the target.
//
// Planning is a pure function of metadata. It touches no tensor byte, no disk,
// no clock: a dry run is the plan alone, a warm start is the plan and then its
// execution. Its cost is linear in the number of keys.

#ifndef WARMSTART_SERVER_PLANNER_PLAN_H_
#define WARMSTART_SERVER_PLANNER_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/model/architecture.h"
#include "server/model/key_rule.h"
#include "server/model/manifest.h"
#include "server/model/report.h"

namespace warmstart::planner {

struct PlanSource {
  const Manifest* manifest = nullptr;  // borrowed for the call
  std::string name;                    // for messages: "checkpoints/abc"
  // The state_dict inside it; where it is empty and no plain key matches, the
  // usual places are searched.
  std::string subtree;
};

enum class ShapePolicy { kError, kSkip };
enum class DTypePolicy { kCast, kKeep, kError };

// As WarmStartRequest's fields of the same names.
struct PlanRequest {
  const Architecture* target = nullptr;  // borrowed for the call
  std::vector<PlanSource> sources;
  std::vector<KeyRule> rules;
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  bool strict = false;
  ShapePolicy on_shape_mismatch = ShapePolicy::kError;
  DTypePolicy on_dtype_mismatch = DTypePolicy::kCast;
  double min_coverage = 0;
};

// Where the values of one target entry come from.
struct Assignment {
  int32_t source = -1;            // index of the source; -1: it is initialised
  int64_t source_entry = 0;       // index into that source's manifest
  DType dtype = DType::kFloat32;  // of the result; its shape is the target's
};

struct Plan {
  std::vector<Assignment> assignments;  // one for each target entry, in order
  MatchReport report;                   // complete, whatever the verdict
  // FAILED_PRECONDITION, in PyTorch's words and with an ErrorInfo, when a
  // policy of the request is not met: then the plan must not be executed.
  absl::Status verdict;
};

// With the defaults, what target.load_state_dict(source, strict=False) does.
//   INVALID_ARGUMENT  a rule or glob that cannot be compiled; two source keys
//                     that end on one key; min_coverage outside 0 to 1
//   NOT_FOUND         a subtree that the source does not have
absl::StatusOr<Plan> MakePlan(const PlanRequest& request);

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_PLAN_H_
