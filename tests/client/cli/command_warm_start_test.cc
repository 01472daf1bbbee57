#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

using ::testing::EndsWith;
using ::testing::Not;
using ::testing::StartsWith;

class WarmStartTest : public ToolTest {
 protected:
  WarmStartTest() {
    methods().warm_start = [this](const auto& request, auto* response) {
      request_ = request;
      v1::MatchReport& report = *response->mutable_report();
      report.set_architecture("architectures/NetB");
      report.set_summary("<All keys matched successfully>");
      if (!request.validate_only()) {
        response->mutable_checkpoint()->set_name("checkpoints/c2");
      }
      return grpc::Status::OK;
    };
  }

  v1::WarmStartRequest request_;
};

TEST_F(WarmStartTest, PrintsPytorchsMessageFirstAndTheHandleLast) {
  const Ran ran = Run({"warm-start", "NetB", "--from", "aliases/a"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, StartsWith("<All keys matched successfully>\n\nNetB: "));
  EXPECT_THAT(ran.out, EndsWith("\nstored checkpoints/c2: 0 tensors, 0 B\n"));
  EXPECT_EQ(request_.architecture(), "NetB");
  EXPECT_EQ(request_.sources(0).checkpoint(), "aliases/a");
  EXPECT_NE(request_.request_id(), "");
}

TEST_F(WarmStartTest, DryRunSaysThatNothingWasStored) {
  const Ran ran =
      Run({"warm-start", "NetB", "--from", "aliases/a", "--dry-run"});
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_THAT(ran.out, EndsWith("\ndry run: nothing was stored\n"));
}

TEST_F(WarmStartTest, QuietPrintsTheHandleAlone) {
  EXPECT_EQ(Run({"warm-start", "NetB", "--from", "a", "-q"}).out,
            "checkpoints/c2\n");
  EXPECT_EQ(Run({"warm-start", "NetB", "--from", "a", "-q", "--dry-run"}).out,
            "");
}

TEST_F(WarmStartTest, JsonIsTheResponse) {
  const nlohmann::json json = nlohmann::json::parse(
      Run({"warm-start", "NetB", "--from", "a", "--json"}).out);
  EXPECT_EQ(json["checkpoint"]["name"], "checkpoints/c2");
  EXPECT_EQ(json["report"]["summary"], "<All keys matched successfully>");
}

TEST_F(WarmStartTest, MissingSourceIsAUsageError) {
  EXPECT_EQ(Run({"warm-start", "NetB"}).exit_code, 2);
  EXPECT_EQ(Run({"warm-start", "--from", "a"}).exit_code, 2);
}

}  // namespace
}  // namespace warmstart::client
