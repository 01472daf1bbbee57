// Clock: where the time comes from. A seam for tests.

#ifndef WARMSTART_SERVER_BASE_CLOCK_H_
#define WARMSTART_SERVER_BASE_CLOCK_H_

#include "absl/time/time.h"

namespace warmstart {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() = 0;
};

// The machine's wall clock; lives for the whole process.
Clock& SystemClock();

}  // namespace warmstart

#endif  // WARMSTART_SERVER_BASE_CLOCK_H_
