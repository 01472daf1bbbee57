#include "client/cpp/operation.h"

#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmstart::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::Le;
using ::testing::SizeIs;

class OperationTest : public ::testing::Test {
 protected:
  OperationTest() {
    options_.sleep = [this](absl::Duration pause) { pauses_.push_back(pause); };
  }

  int RetriesUntilItGivesUp(Operation& operation) {
    int retries = 0;
    while (operation.ShouldRetry(lost_)) ++retries;
    return retries;
  }

  static auto Between(absl::Duration low, absl::Duration high) {
    return AllOf(Ge(low), Le(high));
  }

  const absl::Status lost_ = absl::UnavailableError("lost");
  ClientOptions options_;
  std::vector<absl::Duration> pauses_;
};

TEST_F(OperationTest, OnlyUnavailableIsRetried) {
  Operation operation(options_);
  EXPECT_FALSE(operation.ShouldRetry(absl::InternalError("")));
  EXPECT_FALSE(operation.ShouldRetry(absl::AbortedError("")));
  EXPECT_FALSE(operation.ShouldRetry(absl::DeadlineExceededError("")));
  EXPECT_TRUE(operation.ShouldRetry(lost_));
  EXPECT_THAT(pauses_, SizeIs(1));
}

TEST_F(OperationTest, PausesDoubleUpToTheLargest) {
  options_.retry = {.max_attempts = 5,
                    .initial_backoff = absl::Milliseconds(100),
                    .max_backoff = absl::Milliseconds(300)};
  Operation operation(options_);
  RetriesUntilItGivesUp(operation);
  EXPECT_THAT(
      pauses_,
      ElementsAre(Between(absl::Milliseconds(50), absl::Milliseconds(100)),
                  Between(absl::Milliseconds(100), absl::Milliseconds(200)),
                  Between(absl::Milliseconds(150), absl::Milliseconds(300)),
                  Between(absl::Milliseconds(150), absl::Milliseconds(300))));
}

TEST_F(OperationTest, MorePatienceWithAServerThatWasReached) {
  options_.retry.max_attempts = 2;
  options_.resume.max_attempts = 4;
  Operation unreached(options_);
  EXPECT_EQ(RetriesUntilItGivesUp(unreached), 1);
  Operation reached(options_);
  reached.Reached();
  EXPECT_EQ(RetriesUntilItGivesUp(reached), 3);
}

TEST_F(OperationTest, ProgressStartsTheCountAgain) {
  options_.retry.max_attempts = 3;
  Operation operation(options_);
  EXPECT_EQ(RetriesUntilItGivesUp(operation), 2);
  operation.Advanced();
  EXPECT_EQ(RetriesUntilItGivesUp(operation), 2);
}

TEST_F(OperationTest, NoRetryBeyondTheDeadline) {
  options_.timeout = absl::Milliseconds(10);
  Operation operation(options_);
  EXPECT_FALSE(operation.ShouldRetry(lost_));
  EXPECT_THAT(pauses_, SizeIs(0));
}

TEST_F(OperationTest, AttemptsShareOneDeadline) {
  options_.timeout = absl::Hours(1);
  Operation operation(options_);
  grpc::ClientContext first;
  operation.Prepare(first);
  absl::SleepFor(absl::Milliseconds(5));
  grpc::ClientContext second;
  operation.Prepare(second);
  EXPECT_EQ(first.deadline(), second.deadline());
  EXPECT_NE(first.deadline(), grpc::ClientContext().deadline());
}

TEST_F(OperationTest, RetriesAreTold) {
  std::vector<absl::Status> told;
  options_.on_retry = [&](const absl::Status& failure, absl::Duration) {
    told.push_back(failure);
  };
  Operation operation(options_);
  operation.ShouldRetry(lost_);
  EXPECT_THAT(told, ElementsAre(lost_));
}

}  // namespace
}  // namespace warmstart::client
