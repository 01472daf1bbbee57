// What a warm start's report and verdict say of the values that were loaded,
// which no plan knows.

#ifndef WARMSTART_SERVER_SERVICE_VALUE_REPORT_H_
#define WARMSTART_SERVER_SERVICE_VALUE_REPORT_H_

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "server/model/report.h"
#include "server/torch/model_architecture.h"

namespace warmstart::service {

// Puts the counts, one for each entry of the report, into its entries, and a
// note that sums them up where there is something to say.
void ReportCounts(absl::Span<const backend::LoadCounts> counts,
                  MatchReport& report);

// FAILED_PRECONDITION, naming some keys, where a loaded value is not finite.
absl::Status CheckFinite(absl::Span<const backend::LoadCounts> counts,
                         const MatchReport& report);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_VALUE_REPORT_H_
