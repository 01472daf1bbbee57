// The plan of a warm start, from what the store knows of its sources.

#ifndef WARMSTART_SERVER_SERVICE_WARM_START_PLAN_H_
#define WARMSTART_SERVER_SERVICE_WARM_START_PLAN_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/model/architecture.h"
#include "server/model/manifest.h"
#include "server/model/resource_name.h"
#include "server/planner/plan.h"
#include "server/service/warm_start_request.h"
#include "server/store/store.h"

namespace warmstart::service {

struct SourceCheckpoint {
  CheckpointName name;
  std::shared_ptr<const Manifest> manifest;
};

// The request's sources, in its order.
//   INVALID_ARGUMENT  a handle that is none, or too many keys in all
//   NOT_FOUND         no such checkpoint
absl::StatusOr<std::vector<SourceCheckpoint>> OpenSources(
    store::Store& store, const WarmStartRequest& request);

// As ModelLoad takes them; borrowed from `sources`.
std::vector<const Manifest*> ManifestsOf(
    const std::vector<SourceCheckpoint>& sources);

// NameLostTensor, with the first source that the tensor is of.
absl::Status NameLostSource(const absl::Status& status,
                            const std::vector<SourceCheckpoint>& sources);

// Errors are MakePlan's.
absl::StatusOr<planner::Plan> PlanWarmStart(
    const WarmStartRequest& request, const Architecture& target,
    const std::vector<SourceCheckpoint>& sources);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_WARM_START_PLAN_H_
