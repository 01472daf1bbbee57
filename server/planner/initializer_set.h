// InitializerSet: the initializers that a request gives in place of the
// architecture's.

#ifndef WARMSTART_SERVER_PLANNER_INITIALIZER_SET_H_
#define WARMSTART_SERVER_PLANNER_INITIALIZER_SET_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "server/model/architecture.h"
#include "server/planner/glob.h"
#include "server/planner/plan.h"

namespace warmstart::planner {

class InitializerSet {
 public:
  // INVALID_ARGUMENT, with the field, for a glob or numbers that make no sense.
  static absl::StatusOr<InitializerSet> Create(const PlanRequest& request);

  // The first one that is for the key of `entry`; nothing where the
  // architecture's holds. INVALID_ARGUMENT where it cannot make such a tensor.
  absl::StatusOr<std::optional<Initializer>> For(
      const ArchitectureEntry& entry) const;

 private:
  struct Override {
    GlobSet keys;
    const InitializerOverride* given;
  };
  std::vector<Override> overrides_;
};

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_INITIALIZER_SET_H_
