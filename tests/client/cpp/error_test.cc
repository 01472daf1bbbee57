#include "client/cpp/error.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/testing/fake_server.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::warmstart::testing::StatusIs;

TEST(ErrorTest, CodeAndMessageAreTheServers) {
  EXPECT_THAT(
      FromGrpcStatus({grpc::StatusCode::NOT_FOUND, "no such checkpoint"}),
      StatusIs(absl::StatusCode::kNotFound, "no such checkpoint"));
  EXPECT_THAT(FromGrpcStatus({grpc::StatusCode::UNAUTHENTICATED, "who?"}),
              StatusIs(absl::StatusCode::kUnauthenticated, "who?"));
}

TEST(ErrorTest, SuccessIsOk) { EXPECT_OK(FromGrpcStatus(grpc::Status::OK)); }

TEST(ErrorTest, CodeFromTheFutureIsUnknown) {
  EXPECT_THAT(FromGrpcStatus({static_cast<grpc::StatusCode>(99), "new"}),
              StatusIs(absl::StatusCode::kUnknown, "new"));
}

TEST(ErrorTest, DetailsComeAlong) {
  v1::MatchReport report;
  report.add_missing_keys("fc3.bias");
  const absl::Status status =
      FromGrpcStatus(FailureWithDetails(grpc::StatusCode::FAILED_PRECONDITION,
                                        "strict", "STRICT_NOT_MET", &report));
  const ErrorDetails details = GetErrorDetails(status);
  EXPECT_EQ(details.reason, "STRICT_NOT_MET");
  EXPECT_THAT(details.metadata, ElementsAre(Pair("field", "name")));
  ASSERT_TRUE(details.report.has_value());
  EXPECT_THAT(details.report->missing_keys(), ElementsAre("fc3.bias"));
}

TEST(ErrorTest, MangledDetailsLeaveCodeAndMessage) {
  const absl::Status status = FromGrpcStatus(
      {grpc::StatusCode::INTERNAL, "broken", std::string("\xff\xff\xff")});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInternal, "broken"));
  EXPECT_EQ(GetErrorDetails(status).reason, "");
}

TEST(ErrorTest, StatusWithoutDetailsHasNone) {
  const ErrorDetails details = GetErrorDetails(absl::InternalError("x"));
  EXPECT_EQ(details.reason, "");
  EXPECT_THAT(details.metadata, IsEmpty());
  EXPECT_FALSE(details.report.has_value());
}

}  // namespace
}  // namespace warmstart::client
