// WarmStartRequest: what a warm start is asked for.

#ifndef WARMSTART_SERVER_SERVICE_WARM_START_REQUEST_H_
#define WARMSTART_SERVER_SERVICE_WARM_START_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/model/digest.h"
#include "server/model/key_rule.h"
#include "server/model/shape_adapter.h"
#include "server/planner/plan.h"
#include "server/service/request_checks.h"

namespace warmstart::service {

struct WarmStartSource {
  std::string checkpoint;  // "checkpoints/{id}" or "aliases/{alias}"
  std::string subtree;
  double weight = 1;  // in a combination
  std::optional<planner::LoraAdapter> lora = std::nullopt;
};

// As the API's WarmStartRequest. Fields that planner::PlanRequest has, too, are
// explained there.
struct WarmStartRequest {
  std::string architecture;
  std::vector<WarmStartSource> sources;
  std::vector<KeyRule> rules;
  bool invert_rules = false;
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  planner::Matching matching = planner::Matching::kExact;
  planner::Combination combination;
  std::vector<ShapeAdapter> shape_adapters;
  std::vector<Widening> widenings;
  std::vector<planner::InitializerOverride> initializers;
  bool strict = false;
  planner::ShapePolicy on_shape_mismatch = planner::ShapePolicy::kError;
  planner::DTypePolicy on_dtype_mismatch = planner::DTypePolicy::kCast;
  double min_coverage = 0;
  std::vector<planner::CoverageGate> coverage_gates;
  std::vector<std::string> expected_missing;
  std::vector<std::string> expected_unexpected;
  // A NaN or an infinity in what is loaded fails the warm start. It costs
  // reading every byte that is loaded, which else is only referred to.
  bool refuse_non_finite = false;
  bool validate_only = false;  // a dry run: plan and report, store nothing
  std::string device;
  std::optional<uint64_t> seed;
  CheckpointOptions options;
  // The rest of the request in the words of whoever made it: what the
  // checkpoint's architecture and its origin's sources, seed and device do not
  // tell already. It is kept with the checkpoint, unless it is longer than
  // kMaxRecordedRequest, so that Reproduce can ask for the same again.
  std::optional<std::string> recorded = std::nullopt;
};

// A listing of checkpoints reads their origins, so these must not be large.
inline constexpr size_t kMaxRecordedRequest = size_t{64} << 10;

// What a request can make the server hold in memory and try out is bounded.
// `used` of a kind of things, of which there may be `most`; INVALID_ARGUMENT,
// with the field, where there are more.
absl::Status CheckCount(absl::string_view field, size_t used, size_t most);
absl::Status CheckCounts(const WarmStartRequest& request);

// What tells a request from another with the same id: all fields but the id
// itself, `recorded`, which repeats the others, and validate_only, which makes
// no checkpoint.
Digest FingerprintOf(const WarmStartRequest& request);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_WARM_START_REQUEST_H_
