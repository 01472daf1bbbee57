#include "client/cli/failure.h"

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "client/cli/usage_error.h"
#include "client/cpp/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kStrictMessage[] =
    "Error(s) in loading state_dict for NetB:\n\tMissing key(s) in state_dict: "
    "\"fc3.bias\". ";

v1::MatchReport StrictReport() {
  v1::MatchReport report;
  report.set_architecture("architectures/NetB");
  report.set_summary(kStrictMessage);
  report.add_missing_keys("fc3.bias");
  return report;
}

grpc::Status StrictFailure() {
  const v1::MatchReport report = StrictReport();
  return FailureWithDetails(grpc::StatusCode::FAILED_PRECONDITION,
                            kStrictMessage, "STRICT_NOT_MET", &report);
}

TEST(ExitCodeTest, UnmetDemandIsToldFromOtherFailures) {
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), 0);
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError("")), 1);
  EXPECT_EQ(ExitCodeOf(absl::InvalidArgumentError("")), 1);
  EXPECT_EQ(ExitCodeOf(UsageError("")), 2);
  EXPECT_EQ(ExitCodeOf(FromGrpcStatus(StrictFailure())), 3);
  // No such device: FAILED_PRECONDITION as well, but of no policy.
  EXPECT_EQ(ExitCodeOf(FromGrpcStatus(
                FailureWithDetails(grpc::StatusCode::FAILED_PRECONDITION,
                                   "no CUDA device", "DEVICE_UNAVAILABLE"))),
            1);
}

TEST(FailureJsonTest, HasAllThatTheServerSaid) {
  const nlohmann::json json =
      nlohmann::json::parse(FailureJson(FromGrpcStatus(StrictFailure())));
  EXPECT_EQ(json["code"], "FAILED_PRECONDITION");
  EXPECT_EQ(json["message"], kStrictMessage);
  EXPECT_EQ(json["reason"], "STRICT_NOT_MET");
  EXPECT_EQ(json["metadata"]["field"], "name");
  EXPECT_EQ(json["report"]["missing_keys"], nlohmann::json({"fc3.bias"}));
}

TEST(FailureJsonTest, UsageErrorsHaveAReasonOfTheirOwn) {
  const nlohmann::json json =
      nlohmann::json::parse(FailureJson(UsageError("unknown flag --x")));
  EXPECT_EQ(json["reason"], "USAGE");
  EXPECT_FALSE(json.contains("report"));
}

TEST(FailureJsonTest, TextThatIsNoUtf8IsNoError) {
  EXPECT_TRUE(nlohmann::json::accept(
      FailureJson(absl::InternalError("bad \xff byte"))));
}

class FailureTest : public ToolTest {};

TEST_F(FailureTest, UnmetDemandPrintsReportThenError) {
  methods().warm_start = [](const auto&, auto*) { return StrictFailure(); };
  const Ran ran =
      Run({"warm-start", "NetB", "--from", "aliases/a", "--strict"});
  EXPECT_EQ(ran.exit_code, 3);
  EXPECT_THAT(ran.out, AllOf(StartsWith(kStrictMessage), HasSubstr("NetB: ")));
  EXPECT_EQ(ran.err, "warmstart: " + std::string(kStrictMessage) +
                         "\nNothing was stored.\n");
}

TEST_F(FailureTest, OnATerminalPytorchsMessageIsPrintedOnce) {
  terminal_ = true;
  methods().warm_start = [](const auto&, auto*) { return StrictFailure(); };
  const Ran ran =
      Run({"warm-start", "NetB", "--from", "aliases/a", "--strict"});
  EXPECT_THAT(ran.out, Not(HasSubstr("Error(s) in loading")));
  EXPECT_THAT(ran.err, HasSubstr(kStrictMessage));
}

TEST_F(FailureTest, JsonErrorIsOnStandardErrorAlone) {
  methods().warm_start = [](const auto&, auto*) { return StrictFailure(); };
  const Ran ran =
      Run({"warm-start", "NetB", "--from", "aliases/a", "--strict", "--json"});
  EXPECT_EQ(ran.exit_code, 3);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(nlohmann::json::parse(ran.err)["reason"], "STRICT_NOT_MET");
}

TEST_F(FailureTest, ServerThatIsNotThereIsNamedWithAHint) {
  const Ran ran = Run({"list", "--server", "127.0.0.1:1"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(ran.err,
            "warmstart: cannot reach the server at 127.0.0.1:1: Connection "
            "refused\nIs it running there? Name another with --server "
            "HOST:PORT or WARMSTART_SERVER.\n");
}

TEST_F(FailureTest, RetriesAreToldOnceAndOnATerminalAlone) {
  terminal_ = true;
  const std::string err = Run({"list", "--server", "127.0.0.1:1"}).err;
  const std::string notice = "127.0.0.1:1 does not answer; trying again\n";
  const size_t first = err.find(notice);
  ASSERT_NE(first, std::string::npos) << err;
  EXPECT_EQ(err.find(notice, first + 1), std::string::npos) << err;
}

TEST_F(FailureTest, WhatIsNotFoundComesWithTheCommandThatLists) {
  methods().get_checkpoint = [](const auto&, auto*) {
    return FailureWithDetails(grpc::StatusCode::NOT_FOUND,
                              "there is no checkpoints/x",
                              "CHECKPOINT_NOT_FOUND");
  };
  const Ran ran = Run({"show", "checkpoints/x"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(ran.err,
            "warmstart: there is no checkpoints/x\n"
            "`warmstart list` shows the checkpoints that there are.\n");
}

TEST_F(FailureTest, TimeoutSaysHowToGiveMore) {
  methods().get_checkpoint = [](const auto&, auto*) {
    absl::SleepFor(absl::Milliseconds(300));
    return grpc::Status::OK;
  };
  const Ran ran = Run({"show", "checkpoints/x", "--timeout", "0.05"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("It had 50ms; --timeout gives it more."));
}

TEST_F(FailureTest, MessagesCannotDriveTheTerminal) {
  methods().get_checkpoint = [](const auto&, auto*) {
    return grpc::Status(grpc::StatusCode::INTERNAL, "bad key \x1b[2J");
  };
  EXPECT_THAT(Run({"show", "x"}).err, HasSubstr("bad key \\x1b[2J"));
}

}  // namespace
}  // namespace warmstart::client
