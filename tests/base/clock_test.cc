#include "server/base/clock.h"

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace warmstart {
namespace {

TEST(ClockTest, SystemClockTellsTheWallTime) {
  const absl::Time before = absl::Now();
  const absl::Time now = SystemClock().Now();
  EXPECT_LE(before, now);
  EXPECT_LE(now, absl::Now());
}

}  // namespace
}  // namespace warmstart
