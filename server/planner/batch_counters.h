// BatchNorm's counters, which old files do not have.

#ifndef WARMSTART_SERVER_PLANNER_BATCH_COUNTERS_H_
#define WARMSTART_SERVER_PLANNER_BATCH_COUNTERS_H_

#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/model/architecture.h"
#include "server/planner/plan.h"
#include "server/planner/source_keys.h"

namespace warmstart::planner {

// The counter that torch.nn.BatchNorm has since its version 2.
inline constexpr absl::string_view kBatchCounter = "num_batches_tracked";

// PyTorch does not miss the counter in a state_dict that is older, or that has
// lost its versions, as a plain dict has.
class BatchCounters {
 public:
  BatchCounters(const PlanRequest& request,
                absl::Span<const SourceKeys> sources);

  // Whether `entry` is a counter that may be missing.
  bool Tolerate(const ArchitectureEntry& entry) const;

 private:
  // Modules that a source says are of a version that counts batches.
  absl::flat_hash_set<std::string> counting_modules_;
};

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_BATCH_COUNTERS_H_
