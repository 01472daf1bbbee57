// WarmStart: the use case that the server exists for.

#ifndef WARMSTART_SERVER_SERVICE_WARM_START_H_
#define WARMSTART_SERVER_SERVICE_WARM_START_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/model/key_rule.h"
#include "server/model/report.h"
#include "server/planner/plan.h"
#include "server/service/context.h"
#include "server/service/request_checks.h"
#include "server/store/store.h"

namespace warmstart::service {

struct WarmStartSource {
  std::string checkpoint;  // "checkpoints/{id}" or "aliases/{alias}"
  std::string subtree;
};

// As the API's WarmStartRequest.
struct WarmStartRequest {
  std::string architecture;
  std::vector<WarmStartSource> sources;
  std::vector<KeyRule> rules;
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  bool strict = false;
  planner::ShapePolicy on_shape_mismatch = planner::ShapePolicy::kError;
  planner::DTypePolicy on_dtype_mismatch = planner::DTypePolicy::kCast;
  double min_coverage = 0;
  std::string device;
  std::optional<uint64_t> seed;
  bool validate_only = false;
  CheckpointOptions options;
};

struct WarmStartResult {
  // FAILED_PRECONDITION when a policy was not met; then nothing was stored, and
  // the report tells why.
  absl::Status verdict;
  MatchReport report;
  std::optional<store::Checkpoint> checkpoint;  // none with validate_only
};

// Errors are those of the API's method, but for the policies: they are the
// result's verdict. Thread-safe.
absl::StatusOr<WarmStartResult> WarmStart(const Context& context,
                                          const WarmStartRequest& request);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_WARM_START_H_
