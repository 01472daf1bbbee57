#include "client/cpp/tensor_download.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "client/cpp/client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/testing/fake_server.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

const grpc::Status kLost(grpc::StatusCode::UNAVAILABLE, "going down");

// Keeps what it takes.
class Sink final : public TensorSink {
 public:
  absl::Status Begin(const std::string& digest, int64_t size) override {
    ++begun;
    open = {digest, ""};
    wanted = size;
    return status;
  }
  absl::Status Append(absl::string_view bytes) override {
    absl::StrAppend(&open.second, bytes);
    return absl::OkStatus();
  }
  absl::Status End() override {
    EXPECT_EQ(open.second.size(), wanted);
    tensors.push_back(open);
    return absl::OkStatus();
  }

  int begun = 0;
  std::pair<std::string, std::string> open;
  size_t wanted = 0;
  std::vector<std::pair<std::string, std::string>> tensors;
  absl::Status status;
};

v1::DownloadTensorsResponse Message(const std::string& digest, int64_t size,
                                    const std::string& chunk) {
  v1::DownloadTensorsResponse message;
  message.set_digest(digest);
  message.set_size_bytes(size);
  message.set_chunk(chunk);
  return message;
}

class TensorDownloadTest : public ::testing::Test {
 protected:
  TensorDownloadTest() {
    options_.address = server_.address();
    options_.sleep = [](absl::Duration) {};
    stub_ = v1::Checkpoints::NewStub(MakeChannel(options_));
    server_.methods().download_tensors = [this](const auto& request,
                                                auto* writer) {
      const Answer answer = TakeAnswer(request);
      for (const auto& message : answer.first) writer->Write(message);
      return answer.second;
    };
  }

  using Answer =
      std::pair<std::vector<v1::DownloadTensorsResponse>, grpc::Status>;

  // Taken before the first message is sent: a client that has read enough goes
  // on, and so does its test, while the server still writes.
  Answer TakeAnswer(const v1::DownloadTensorsRequest& request) {
    const absl::MutexLock lock(&mutex_);
    requests_.push_back(request);
    EXPECT_FALSE(answers_.empty());
    Answer answer = answers_.front();
    answers_.erase(answers_.begin());
    return answer;
  }

  void SetAnswers(std::vector<Answer> answers) {
    const absl::MutexLock lock(&mutex_);
    answers_ = std::move(answers);
  }

  absl::Status Run(const std::vector<std::string>& digests) {
    return DownloadTensors(*stub_, options_, "checkpoints/c1", digests, sink_);
  }

  FakeServer server_;
  ClientOptions options_;
  std::unique_ptr<v1::Checkpoints::Stub> stub_;
  absl::Mutex mutex_;
  std::vector<v1::DownloadTensorsRequest> requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<Answer> answers_ ABSL_GUARDED_BY(mutex_);
  Sink sink_;
};

TEST_F(TensorDownloadTest, TensorsComeWhole) {
  SetAnswers({{{Message("a", 5, "123"), Message("", 0, "45"),
                Message("b", 0, ""), Message("c", 1, "x")},
               grpc::Status::OK}});
  ASSERT_OK(Run({"a", "b", "c"}));
  EXPECT_THAT(sink_.tensors,
              ElementsAre(Pair("a", "12345"), Pair("b", ""), Pair("c", "x")));
  ASSERT_THAT(requests_, SizeIs(1));
  EXPECT_EQ(requests_[0].name(), "checkpoints/c1");
  EXPECT_THAT(requests_[0].digests(), ElementsAre("a", "b", "c"));
}

TEST_F(TensorDownloadTest, NothingIsAskedForWhereNothingIsWanted) {
  ASSERT_OK(Run({}));
  EXPECT_THAT(requests_, IsEmpty());
}

TEST_F(TensorDownloadTest, WhatWasLostIsBegunAgain) {
  SetAnswers(
      {{{Message("a", 1, "x"), Message("b", 3, "1")}, kLost},
       {{Message("b", 3, "12"), Message("", 0, "3")}, grpc::Status::OK}});
  ASSERT_OK(Run({"a", "b"}));
  EXPECT_THAT(sink_.tensors, ElementsAre(Pair("a", "x"), Pair("b", "123")));
  EXPECT_EQ(sink_.begun, 3);
  EXPECT_THAT(requests_.back().digests(), ElementsAre("b"));
}

TEST_F(TensorDownloadTest, ManyAreAskedForInParts) {
  const std::vector<std::string> digests(10'001, "a");
  SetAnswers(
      {{std::vector<v1::DownloadTensorsResponse>(10'000, Message("a", 0, "")),
        grpc::Status::OK},
       {{Message("a", 0, "")}, grpc::Status::OK}});
  ASSERT_OK(Run(digests));
  EXPECT_THAT(sink_.tensors, SizeIs(10'001));
}

TEST_F(TensorDownloadTest, AStreamThatIsNotWhatItSaidIsDataLoss) {
  const std::vector<std::vector<v1::DownloadTensorsResponse>> streams = {
      {},
      {Message("", 0, "x")},                       // of which tensor?
      {Message("b", 1, "x")},                      // not this
      {Message("a", 1, "xy")},                     // too many
      {Message("a", 2, "x")},                      // too few
      {Message("a", 2, "x"), Message("b", 1, "")}  // too few, and another
  };
  for (const auto& stream : streams) {
    SetAnswers({{stream, grpc::Status::OK}});
    EXPECT_THAT(Run({"a", "b"}), StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST_F(TensorDownloadTest, FailuresOfTheServerAndTheSinkEndIt) {
  SetAnswers({{{}, {grpc::StatusCode::NOT_FOUND, "no such"}}});
  EXPECT_THAT(Run({"a"}), StatusIs(absl::StatusCode::kNotFound));
  SetAnswers({{{Message("a", 1, "x")}, grpc::Status::OK}});
  sink_.status = absl::UnknownError("disk on fire");
  EXPECT_THAT(Run({"a"}),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("fire")));
}

}  // namespace
}  // namespace warmstart::client
