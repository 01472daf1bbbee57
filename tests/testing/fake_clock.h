// FakeClock: a clock that goes when it is told to.

#ifndef WARMSTART_TESTS_TESTING_FAKE_CLOCK_H_
#define WARMSTART_TESTS_TESTING_FAKE_CLOCK_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/base/clock.h"

namespace warmstart::testing {

// Thread-safe. Starts at 2024-01-01, UTC.
class FakeClock final : public Clock {
 public:
  absl::Time Now() override ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return now_;
  }
  void Advance(absl::Duration duration) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    now_ += duration;
  }

 private:
  absl::Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_) = absl::FromUnixSeconds(1704067200);
};

}  // namespace warmstart::testing

#endif  // WARMSTART_TESTS_TESTING_FAKE_CLOCK_H_
