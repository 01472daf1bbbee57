#include "server/service/store_care.h"

#include "server/base/low_priority.h"

namespace warmstart::service {

absl::StatusOr<store::ScrubResult> ScrubStore(const Context& context,
                                              store::ScrubReporter report) {
  absl::StatusOr<store::ScrubResult> result;
  RunAtLowPriority([&] { result = context.store->Scrub(report); });
  return result;
}

absl::StatusOr<store::CheckResult> CheckStore(const Context& context) {
  absl::StatusOr<store::CheckResult> result;
  RunAtLowPriority([&] { result = context.store->Check(); });
  return result;
}

}  // namespace warmstart::service
