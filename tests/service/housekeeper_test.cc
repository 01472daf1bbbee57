#include "server/service/housekeeper.h"

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmstart::service {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
using IsStopping = Housekeeper::IsStopping;

constexpr absl::Duration kAtOnce = absl::ZeroDuration();
constexpr absl::Duration kLong = absl::Hours(1);

void IgnoreLine(const std::string&) {}

TEST(HousekeeperTest, AChoreIsDoneUntilNothingIsLeft) {
  absl::Notification all_done;
  std::atomic<int> left = 3;
  const Housekeeper housekeeper({{"chore", kAtOnce, kLong,
                                  [&](const IsStopping&) {
                                    if (--left == 0) all_done.Notify();
                                    return left > 0;
                                  }}},
                                IgnoreLine);
  all_done.WaitForNotification();
  EXPECT_EQ(left, 0);
}

TEST(HousekeeperTest, AChoreComesAgainAfterItsInterval) {
  std::atomic<int> times = 0;
  absl::Notification came_again;
  const Housekeeper housekeeper({{"chore", kAtOnce, absl::Milliseconds(1),
                                  [&](const IsStopping&) {
                                    if (++times == 3) came_again.Notify();
                                    return false;
                                  }}},
                                IgnoreLine);
  came_again.WaitForNotification();
}

TEST(HousekeeperTest, AChoreMayWaitBeforeItsFirstTime) {
  std::atomic<int> times = 0;
  absl::Notification other_done;
  {
    const Housekeeper housekeeper({{"later", kLong, kLong,
                                    [&](const IsStopping&) {
                                      ++times;
                                      return false;
                                    }},
                                   {"soon", absl::Milliseconds(10), kLong,
                                    [&](const IsStopping&) {
                                      other_done.Notify();
                                      return false;
                                    }}},
                                  IgnoreLine);
    other_done.WaitForNotification();
  }
  EXPECT_EQ(times, 0);
}

TEST(HousekeeperTest, AFailureIsToldAndTriedAgain) {
  absl::Mutex mutex;
  std::vector<std::string> lines;
  absl::Notification all_done;
  std::atomic<int> times = 0;
  {
    const Housekeeper housekeeper(
        {{"fails", kAtOnce, kLong,
          [](const IsStopping&) -> absl::StatusOr<bool> {
            return absl::DataLossError("it is broken");
          }},
         {"throws", kAtOnce, absl::Milliseconds(1),
          [&](const IsStopping&) -> absl::StatusOr<bool> {
            if (++times == 1) throw std::runtime_error("thrown");
            if (times == 2) all_done.Notify();
            return false;
          }}},
        [&](const std::string& line) {
          const absl::MutexLock lock(&mutex);
          lines.push_back(line);
        });
    all_done.WaitForNotification();
    const absl::MutexLock lock(&mutex);
    mutex.Await(absl::Condition(
        +[](std::vector<std::string>* told) { return told->size() == 2; },
        &lines));
  }
  EXPECT_THAT(lines, UnorderedElementsAre("fails: it is broken",
                                          HasSubstr("throws: thrown")));
}

TEST(HousekeeperTest, NoChoreWaitsForAnother) {
  absl::Notification other_done;
  const Housekeeper housekeeper({{"long", kAtOnce, kLong,
                                  [&](const IsStopping&) {
                                    other_done.WaitForNotification();
                                    return false;
                                  }},
                                 {"short", kAtOnce, kLong,
                                  [&](const IsStopping&) {
                                    other_done.Notify();
                                    return false;
                                  }}},
                                IgnoreLine);
  other_done.WaitForNotification();
}

TEST(HousekeeperTest, ItStopsBetweenTwoStepsAndAtOnceWhileItWaits) {
  absl::Notification started;
  absl::Notification go_on;
  std::atomic<int> steps = 0;
  {
    Housekeeper endless({{"endless", kAtOnce, kLong,
                          [&](const IsStopping&) {
                            if (++steps == 1) started.Notify();
                            go_on.WaitForNotification();
                            return true;
                          }}},
                        IgnoreLine);
    started.WaitForNotification();
    go_on.Notify();
  }
  const int at_the_end = steps;
  absl::SleepFor(absl::Milliseconds(10));
  EXPECT_EQ(steps, at_the_end);
  // Does not wait for an hour.
  const Housekeeper waiting(
      {{"waiting", kLong, kLong, [](const IsStopping&) { return false; }}},
      IgnoreLine);
}

TEST(HousekeeperTest, ALongStepIsToldToStopAndThatIsNoFailure) {
  std::atomic<bool> failed = false;
  absl::Notification started;
  {
    const Housekeeper housekeeper(
        {{"long", kAtOnce, kLong,
          [&](const IsStopping& is_stopping) -> absl::StatusOr<bool> {
            EXPECT_FALSE(is_stopping());
            started.Notify();
            while (!is_stopping()) absl::SleepFor(absl::Milliseconds(1));
            return absl::CancelledError("stopped");
          }}},
        [&](const std::string&) { failed = true; });
    started.WaitForNotification();
  }
  EXPECT_FALSE(failed);
}

}  // namespace
}  // namespace warmstart::service
