#include "client/cpp/health.h"

#include "client/cpp/client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/testing/fake_server.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::client {
namespace {

using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

class HealthTest : public ::testing::Test {
 protected:
  absl::StatusOr<ServingStatus> Check(const std::string& service = "") {
    return CheckHealth(MakeChannel(options_), options_, service);
  }

  FakeServer server_;
  ClientOptions options_{.address = server_.address()};
};

TEST_F(HealthTest, ServerThatServes) {
  EXPECT_THAT(Check(), IsOkAndHolds(ServingStatus::kServing));
  EXPECT_THAT(Check("warmstart.v1.Checkpoints"),
              IsOkAndHolds(ServingStatus::kServing));
}

TEST_F(HealthTest, ServerThatIsGoingDown) {
  server_.SetServing(false);
  EXPECT_THAT(Check(), IsOkAndHolds(ServingStatus::kNotServing));
}

TEST_F(HealthTest, UnknownServiceIsNotFound) {
  EXPECT_THAT(Check("no.such.Service"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(HealthTest, ServerThatIsNotThereIsUnavailable) {
  options_.address = "127.0.0.1:1";
  EXPECT_THAT(Check(), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(HealthTest, StatusesHaveTheirProtocolNames) {
  EXPECT_EQ(ServingStatusName(ServingStatus::kServing), "SERVING");
  EXPECT_EQ(ServingStatusName(ServingStatus::kNotServing), "NOT_SERVING");
  EXPECT_EQ(ServingStatusName(ServingStatus::kServiceUnknown),
            "SERVICE_UNKNOWN");
  EXPECT_EQ(ServingStatusName(ServingStatus::kUnknown), "UNKNOWN");
}

}  // namespace
}  // namespace warmstart::client
