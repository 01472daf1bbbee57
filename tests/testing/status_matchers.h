// IsOk, IsOkAndHolds and StatusIs, for absl::Status and absl::StatusOr, which
// Debian's Abseil lacks.

#ifndef WARMSTART_TESTS_TESTING_STATUS_MATCHERS_H_
#define WARMSTART_TESTS_TESTING_STATUS_MATCHERS_H_

#include <ostream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmstart::testing {

inline absl::Status GetStatus(const absl::Status& status) { return status; }
template <typename T>
absl::Status GetStatus(const absl::StatusOr<T>& status_or) {
  return status_or.status();
}

MATCHER(IsOk, negation ? "is not OK" : "is OK") {
  const absl::Status status = GetStatus(arg);
  if (!status.ok()) *result_listener << "which is " << status.ToString();
  return status.ok();
}

// EXPECT_THAT(F(), StatusIs(absl::StatusCode::kNotFound, HasSubstr("no such")))
MATCHER_P2(StatusIs, code, message_matcher,
           absl::StatusCodeToString(code) + " whose message " +
               ::testing::DescribeMatcher<std::string>(message_matcher)) {
  const absl::Status status = GetStatus(arg);
  *result_listener << "which is " << status.ToString();
  return status.code() == code &&
         ::testing::ExplainMatchResult(
             message_matcher, std::string(status.message()), result_listener);
}
inline auto StatusIs(absl::StatusCode code) {
  return StatusIs(code, ::testing::_);
}

MATCHER_P(
    IsOkAndHolds, value_matcher,
    "is OK and holds a value that " +
        ::testing::DescribeMatcher<typename std::decay_t<arg_type>::value_type>(
            value_matcher)) {
  if (!arg.ok()) {
    *result_listener << "which is " << arg.status().ToString();
    return false;
  }
  return ::testing::ExplainMatchResult(value_matcher, *arg, result_listener);
}

}  // namespace warmstart::testing

#define ASSERT_OK(expr) ASSERT_THAT(expr, ::warmstart::testing::IsOk())
#define EXPECT_OK(expr) EXPECT_THAT(expr, ::warmstart::testing::IsOk())

// ASSERT_OK_AND_ASSIGN(auto value, ComputeStatusOr());
#define ASSERT_OK_AND_ASSIGN(lhs, expr) \
  WARMSTART_ASSERT_OK_AND_ASSIGN_(      \
      WARMSTART_TEST_CONCAT_(_status_or_, __LINE__), lhs, expr)
#define WARMSTART_ASSERT_OK_AND_ASSIGN_(result, lhs, expr) \
  auto result = (expr);                                    \
  ASSERT_TRUE(result.ok()) << result.status();             \
  lhs = *std::move(result)
#define WARMSTART_TEST_CONCAT_(a, b) WARMSTART_TEST_CONCAT_INNER_(a, b)
#define WARMSTART_TEST_CONCAT_INNER_(a, b) a##b

#endif  // WARMSTART_TESTS_TESTING_STATUS_MATCHERS_H_
