// WarmStart: the use case that the server exists for.

#ifndef WARMSTART_SERVER_SERVICE_WARM_START_H_
#define WARMSTART_SERVER_SERVICE_WARM_START_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/model/report.h"
#include "server/service/context.h"
#include "server/service/warm_start_request.h"
#include "server/store/store.h"

namespace warmstart::service {

struct WarmStartResult {
  // FAILED_PRECONDITION when a policy was not met; then nothing was stored, and
  // the report tells why.
  absl::Status verdict;
  MatchReport report;
  std::optional<store::Checkpoint> checkpoint;  // none with validate_only
};

// A dry run (validate_only) is the plan alone. It reads no tensor, so its
// report has no counts of values, and refuse_non_finite cannot fail it; in all
// else it is the report of the warm start.
//
// Errors are those of the API's method, but for the policies: they are the
// result's verdict. Thread-safe.
absl::StatusOr<WarmStartResult> WarmStart(const Context& context,
                                          const WarmStartRequest& request);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_WARM_START_H_
