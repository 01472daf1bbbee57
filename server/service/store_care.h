// Looking after the store, beside its other work.

#ifndef WARMSTART_SERVER_SERVICE_STORE_CARE_H_
#define WARMSTART_SERVER_SERVICE_STORE_CARE_H_

#include "absl/status/statusor.h"
#include "server/service/context.h"
#include "server/store/care.h"

namespace warmstart::service {

// As Store::Scrub, at low priority; `report` is called on another thread.
absl::StatusOr<store::ScrubResult> ScrubStore(const Context& context,
                                              store::ScrubReporter report);

// As Store::Check, at low priority.
absl::StatusOr<store::CheckResult> CheckStore(const Context& context);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_STORE_CARE_H_
