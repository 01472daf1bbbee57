#include "client/cpp/upload.h"

#include <atomic>
#include <filesystem>
#include <memory>
#include <vector>

#include "client/cpp/client.h"
#include "client/cpp/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/testing/fake_server.h"
#include "tests/client/testing/test_files.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

constexpr size_t kMiB = 1 << 20;

class UploadTest : public ::testing::Test {
 protected:
  UploadTest() {
    options_.address = server_.address();
    options_.sleep = [](absl::Duration) {};
    stub_ = v1::ModelInitializer::NewStub(MakeChannel(options_));
    header_.set_request_id("id-1");
    server_.methods().save_model = [this](auto* reader, auto* response) {
      uploads_.push_back(ReceiveUpload(*reader));
      response->mutable_checkpoint()->set_name("checkpoints/c1");
      return grpc::Status::OK;
    };
  }

  LocalFile File(const std::string& name, const std::string& bytes) {
    WriteFile(dir_.Join(name), bytes);
    return {name, dir_.Join(name), static_cast<int64_t>(bytes.size())};
  }

  absl::StatusOr<v1::SaveModelResponse> Run(
      const std::vector<LocalFile>& files) {
    return Upload(
        *stub_, options_, header_, files,
        [this](const Progress& progress) { progress_.push_back(progress); });
  }

  testing::TempDir dir_;
  FakeServer server_;
  ClientOptions options_;
  std::unique_ptr<v1::ModelInitializer::Stub> stub_;
  v1::SaveModelHeader header_;
  std::vector<ReceivedUpload> uploads_;
  std::vector<Progress> progress_;
};

TEST_F(UploadTest, FilesArriveWholeInChunksOfOneMebibyte) {
  const std::string large = VariedBytes(3 * kMiB + 17);
  ASSERT_OK_AND_ASSIGN(const v1::SaveModelResponse response,
                       Run({File("large.pt", large), File("small.pt", "abc")}));
  EXPECT_EQ(response.checkpoint().name(), "checkpoints/c1");
  ASSERT_THAT(uploads_, SizeIs(1));
  EXPECT_EQ(uploads_[0].header.request_id(), "id-1");
  const std::vector<ReceivedFile>& files = uploads_[0].files;
  ASSERT_THAT(files, SizeIs(2));
  EXPECT_EQ(files[0].header.name(), "large.pt");
  EXPECT_EQ(files[0].header.size(), 3 * kMiB + 17);
  EXPECT_TRUE(files[0].bytes == large);
  EXPECT_EQ(files[0].largest_chunk, kMiB);
  EXPECT_EQ(files[1].header.name(), "small.pt");
  EXPECT_EQ(files[1].bytes, "abc");
}

TEST_F(UploadTest, EmptyFileIsAHeaderWithoutBytes) {
  ASSERT_OK(Run({File("empty.pt", "")}));
  ASSERT_THAT(uploads_, SizeIs(1));
  ASSERT_THAT(uploads_[0].files, SizeIs(1));
  EXPECT_TRUE(uploads_[0].files[0].header.has_size());
  EXPECT_EQ(uploads_[0].files[0].bytes, "");
}

TEST_F(UploadTest, NoFileIsAHeaderAlone) {
  header_.set_architecture("NetA");
  ASSERT_OK(Run({}));
  ASSERT_THAT(uploads_, SizeIs(1));
  EXPECT_EQ(uploads_[0].header.architecture(), "NetA");
  EXPECT_THAT(uploads_[0].files, SizeIs(0));
}

TEST_F(UploadTest, ProgressIsOfAllFilesTogether) {
  ASSERT_OK(Run({File("a.pt", std::string(kMiB + 1, 'a')), File("b.pt", "b")}));
  std::vector<int64_t> done;
  for (const Progress& progress : progress_) {
    EXPECT_EQ(progress.bytes_total, kMiB + 2);
    done.push_back(progress.bytes_done);
  }
  EXPECT_THAT(done, ElementsAre(kMiB, kMiB + 1, kMiB + 2));
}

TEST_F(UploadTest, LostConnectionSendsAllAgainWithTheSameRequestId) {
  int calls = 0;
  server_.methods().save_model = [&](auto* reader, auto*) {
    v1::SaveModelRequest message;
    if (++calls == 1) {
      reader->Read(&message);
      EXPECT_EQ(message.header().request_id(), "id-1");
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "going down");
    }
    uploads_.push_back(ReceiveUpload(*reader));
    return grpc::Status::OK;
  };
  const std::string bytes = VariedBytes(2 * kMiB);
  ASSERT_OK(Run({File("model.pt", bytes)}));
  EXPECT_EQ(calls, 2);
  ASSERT_THAT(uploads_, SizeIs(1));
  EXPECT_EQ(uploads_[0].header.request_id(), "id-1");
  EXPECT_TRUE(uploads_[0].files[0].bytes == bytes);
}

TEST_F(UploadTest, ServerThatIsAlwaysLostIsGivenUp) {
  int calls = 0;
  server_.methods().save_model = [&](auto* reader, auto*) {
    ++calls;
    ReceiveUpload(*reader);
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "going down");
  };
  EXPECT_THAT(Run({File("model.pt", "abc")}),
              StatusIs(absl::StatusCode::kUnavailable, "going down"));
  EXPECT_EQ(calls, options_.resume.max_attempts);
}

// The server may answer a request_id that it knows without reading the stream.
TEST_F(UploadTest, EarlyAnswerIsTaken) {
  server_.methods().save_model = [](auto*, auto* response) {
    response->mutable_checkpoint()->set_name("checkpoints/known");
    return grpc::Status::OK;
  };
  ASSERT_OK_AND_ASSIGN(const v1::SaveModelResponse response,
                       Run({File("model.pt", std::string(32 * kMiB, 'x'))}));
  EXPECT_EQ(response.checkpoint().name(), "checkpoints/known");
}

TEST_F(UploadTest, EarlyRefusalEndsTheUpload) {
  int calls = 0;
  server_.methods().save_model = [&](auto* reader, auto*) {
    ++calls;
    v1::SaveModelRequest message;
    reader->Read(&message);
    return FailureWithDetails(grpc::StatusCode::INVALID_ARGUMENT,
                              "model.pt: no checkpoint", "INVALID_FILE");
  };
  const auto response = Run({File("model.pt", std::string(32 * kMiB, 'x'))});
  EXPECT_THAT(response, StatusIs(absl::StatusCode::kInvalidArgument,
                                 "model.pt: no checkpoint"));
  EXPECT_EQ(GetErrorDetails(response.status()).reason, "INVALID_FILE");
  EXPECT_EQ(calls, 1);
}

TEST_F(UploadTest, FileThatShrankIsNotSentAsIfItWereWhole) {
  // The server may be at it still when the client has given up, and may not
  // have been told of the file.
  const auto completed = std::make_shared<std::atomic<bool>>(false);
  server_.methods().save_model = [completed](auto* reader, auto*) {
    const ReceivedUpload upload = ReceiveUpload(*reader);
    *completed =
        !upload.files.empty() && upload.files.back().bytes.size() == 100;
    return grpc::Status::OK;
  };
  LocalFile file = File("model.pt", std::string(50, 'x'));
  file.size = 100;
  EXPECT_THAT(Run({file}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("became shorter while it was read")));
  EXPECT_FALSE(*completed);
}

TEST_F(UploadTest, FileThatIsGoneIsNotRetried) {
  const LocalFile file = File("model.pt", "abc");
  std::filesystem::remove(file.path);
  EXPECT_THAT(Run({file}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(file.path)));
}

}  // namespace
}  // namespace warmstart::client
