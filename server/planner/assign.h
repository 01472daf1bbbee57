// What becomes of each entry of the target, given what the sources supply.

#ifndef WARMSTART_SERVER_PLANNER_ASSIGN_H_
#define WARMSTART_SERVER_PLANNER_ASSIGN_H_

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/planner/adapters/adapt.h"
#include "server/planner/combining/combine.h"
#include "server/planner/failures.h"
#include "server/planner/initializer_set.h"
#include "server/planner/plan.h"

namespace warmstart::planner {

// Applies the policies for shapes and dtypes, the adapters and the
// initializers, to one entry after the other.
class Assigner {
 public:
  // `rules` are those that supplies refer to. All must outlive the assigner.
  static absl::StatusOr<Assigner> Create(const PlanRequest& request,
                                         absl::Span<const KeyRule> rules);

  // Fills in the assignment and the report of entry `i`, and what else the
  // report says of it. `adaptation` is what was done to the supply before, in
  // words. INVALID_ARGUMENT for an initializer that the entry cannot have.
  absl::Status Assign(size_t i, const Supply& supply, std::string adaptation,
                      Plan* plan);

  Failures TakeFailures() { return std::move(failures_); }
  std::vector<std::string> Notes() const { return adapters_.Notes(); }

 private:
  Assigner(const PlanRequest& request, absl::Span<const KeyRule> rules,
           AdapterSet adapters, InitializerSet initializers)
      : request_(request),
        rules_(rules),
        adapters_(std::move(adapters)),
        initializers_(std::move(initializers)) {}

  // Says in the report what the value is made of.
  void Describe(const Derivation& value, const Supply& supply,
                TargetReport* report) const;
  DType ResultDType(const Derivation& value, const ArchitectureEntry& entry);
  absl::StatusOr<Adaptation> Fit(const Misfit& misfit);
  absl::Status Load(size_t i, Adaptation adaptation, DType own, Plan* plan);
  void Refuse(size_t i, const Supply& supply, absl::string_view why,
              Plan* plan);
  absl::Status Initialize(size_t i, std::optional<Initializer> initializer,
                          Plan* plan);
  std::string NameOf(const SourceOp& source) const;

  const PlanRequest& request_;
  absl::Span<const KeyRule> rules_;
  AdapterSet adapters_;
  InitializerSet initializers_;
  Failures failures_;
};

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_ASSIGN_H_
