#include "client/cpp/scrub.h"

#include <memory>
#include <vector>

#include "client/cpp/client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/testing/fake_server.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::client {
namespace {

using ::testing::ElementsAre;
using ::warmstart::testing::StatusIs;

const grpc::Status kLost(grpc::StatusCode::UNAVAILABLE, "going down");

class ScrubTest : public ::testing::Test {
 protected:
  ScrubTest() {
    options_.address = server_.address();
    options_.sleep = [](absl::Duration) {};
    stub_ = v1::Admin::NewStub(MakeChannel(options_));
    // Lost after its progress, as often as the test says.
    server_.methods().scrub_store = [this](const auto&, auto* writer) {
      v1::ScrubStoreResponse message;
      message.mutable_progress()->set_bytes_read(7);
      message.mutable_progress()->set_size_bytes(9);
      writer->Write(message);
      if (times_lost_-- > 0) return kLost;
      if (!has_result_) return grpc::Status::OK;
      message.mutable_result()->set_tensors_read(3);
      writer->Write(message);
      return grpc::Status::OK;
    };
  }

  absl::StatusOr<v1::ScrubResult> Run() {
    return Scrub(*stub_, options_, [this](const Progress& progress) {
      done_.push_back(progress.bytes_done);
      EXPECT_EQ(progress.bytes_total, 9);
    });
  }

  FakeServer server_;
  ClientOptions options_;
  std::unique_ptr<v1::Admin::Stub> stub_;
  int times_lost_ = 0;
  bool has_result_ = true;
  std::vector<int64_t> done_;
};

TEST_F(ScrubTest, ProgressIsToldAndTheResultReturned) {
  ASSERT_OK_AND_ASSIGN(const v1::ScrubResult result, Run());
  EXPECT_EQ(result.tensors_read(), 3);
  EXPECT_THAT(done_, ElementsAre(7));
}

TEST_F(ScrubTest, ALostConnectionBeginsItAnew) {
  times_lost_ = 2;
  ASSERT_OK_AND_ASSIGN(const v1::ScrubResult result, Run());
  EXPECT_EQ(result.tensors_read(), 3);
  EXPECT_THAT(done_, ElementsAre(7, 7, 7));
}

TEST_F(ScrubTest, AServerThatStaysAwayIsToldSo) {
  times_lost_ = 1000;
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ScrubTest, AStreamWithoutAResultIsDataLoss) {
  has_result_ = false;
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(ScrubTest, ProgressMayBeOfNoInterest) {
  EXPECT_OK(Scrub(*stub_, options_, {}).status());
}

}  // namespace
}  // namespace warmstart::client
