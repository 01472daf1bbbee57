#include "server/service/housekeeper.h"

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmstart::service {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kLong = absl::Hours(1);

void IgnoreLine(const std::string&) {}

TEST(HousekeeperTest, ChoresAreDoneUntilNothingIsLeftAndInOrder) {
  std::vector<std::string> done;
  absl::Notification all_done;
  int left = 3;
  const Housekeeper housekeeper(kLong,
                                {{"first",
                                  [&]() -> absl::StatusOr<bool> {
                                    done.push_back("first");
                                    return --left > 0;
                                  }},
                                 {"second",
                                  [&]() -> absl::StatusOr<bool> {
                                    done.push_back("second");
                                    all_done.Notify();
                                    return false;
                                  }}},
                                IgnoreLine);
  all_done.WaitForNotification();
  EXPECT_THAT(done,
              ::testing::ElementsAre("first", "first", "first", "second"));
}

TEST(HousekeeperTest, ChoresComeAgainAfterTheInterval) {
  std::atomic<int> times = 0;
  absl::Notification came_again;
  const Housekeeper housekeeper(absl::Milliseconds(1),
                                {{"chore",
                                  [&]() -> absl::StatusOr<bool> {
                                    if (++times == 3) came_again.Notify();
                                    return false;
                                  }}},
                                IgnoreLine);
  came_again.WaitForNotification();
}

TEST(HousekeeperTest, AFailureIsToldAndTheOthersGoOn) {
  std::vector<std::string> lines;
  absl::Notification all_done;
  {
    const Housekeeper housekeeper(
        kLong,
        {{"fails",
          []() -> absl::StatusOr<bool> {
            return absl::DataLossError("it is broken");
          }},
         {"throws",
          []() -> absl::StatusOr<bool> { throw std::runtime_error("thrown"); }},
         {"works",
          [&]() -> absl::StatusOr<bool> {
            all_done.Notify();
            return false;
          }}},
        [&](const std::string& line) { lines.push_back(line); });
    all_done.WaitForNotification();
  }
  EXPECT_THAT(lines, ::testing::ElementsAre("fails: it is broken",
                                            HasSubstr("throws: thrown")));
}

TEST(HousekeeperTest, ItStopsBetweenTwoStepsAndAtOnceWhileItWaits) {
  absl::Notification started;
  absl::Notification go_on;
  std::atomic<int> steps = 0;
  {
    Housekeeper endless(kLong,
                        {{"endless",
                          [&]() -> absl::StatusOr<bool> {
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
  const Housekeeper waiting(kLong, {}, IgnoreLine);
}

}  // namespace
}  // namespace warmstart::service
