#include "client/cpp/operation.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/time/clock.h"

namespace warmstart::client {

Operation::Operation(const ClientOptions& options)
    : options_(options),
      policy_(&options.retry),
      deadline_(absl::Now() + options.timeout) {}

void Operation::Prepare(grpc::ClientContext& context) const {
  context.AddMetadata("warmstart-max-error-bytes",
                      std::to_string(kMaxErrorBytes));
  if (deadline_ != absl::InfiniteFuture()) {
    context.set_deadline(absl::ToChronoTime(deadline_));
  }
}

bool Operation::ShouldRetry(const absl::Status& failure) {
  if (!absl::IsUnavailable(failure)) return false;
  if (++failures_ >= policy_->max_attempts) return false;
  const absl::Duration pause = NextPause();
  if (absl::Now() + pause >= deadline_) return false;
  if (options_.on_retry) options_.on_retry(failure, pause);
  options_.sleep(pause);
  return true;
}

absl::Duration Operation::NextPause() {
  const absl::Duration full =
      std::min(policy_->max_backoff,
               policy_->initial_backoff * std::exp2(failures_ - 1));
  return full * absl::Uniform(random_, 0.5, 1.0);
}

}  // namespace warmstart::client
