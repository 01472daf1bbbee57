#include "server/rpc/call_runner.h"

#include <new>
#include <stdexcept>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::rpc {
namespace {

using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

TEST(CallRunnerTest, AStatusGoesThrough) {
  EXPECT_OK(CallRunner().Run([] { return absl::OkStatus(); }));
  EXPECT_THAT(CallRunner().Run([] { return absl::NotFoundError("gone"); }),
              StatusIs(absl::StatusCode::kNotFound, "gone"));
}

TEST(CallRunnerTest, MemoryThatDoesNotSufficeIsResourceExhausted) {
  const absl::Status status =
      CallRunner().Run([]() -> absl::Status { throw std::bad_alloc(); });
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(GetErrorInfo(status)->reason, "OUT_OF_MEMORY");
}

TEST(CallRunnerTest, OtherExceptionsAreInternal) {
  EXPECT_THAT(CallRunner().Run([]() -> absl::Status {
    throw std::out_of_range("the index");
  }),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("the index")));
  EXPECT_THAT(CallRunner().Run([]() -> absl::Status { throw 1; }),
              StatusIs(absl::StatusCode::kInternal));
}

TEST(CallRunnerTest, MethodsAreCountedWhileTheyRun) {
  CallRunner calls;
  EXPECT_EQ(calls.num_running(), 0);
  calls
      .Run([&]() -> absl::Status {
        EXPECT_EQ(calls.num_running(), 1);
        throw std::bad_alloc();
      })
      .IgnoreError();
  EXPECT_EQ(calls.num_running(), 0);
}

}  // namespace
}  // namespace warmstart::rpc
