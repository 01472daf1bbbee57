#include "client/cpp/download.h"

#include <vector>

#include "absl/strings/str_cat.h"
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
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

const grpc::Status kLost(grpc::StatusCode::UNAVAILABLE, "going down");
constexpr size_t kChunk = 1000;

class DownloadTest : public ::testing::Test {
 protected:
  DownloadTest() {
    options_.address = server_.address();
    options_.sleep = [](absl::Duration) {};
    stub_ = v1::Checkpoints::NewStub(MakeChannel(options_));
    // The i-th call sends up to the i-th of `ends_` and is lost, the last one
    // sends all.
    server_.methods().download_checkpoint = [this](const auto& request,
                                                   auto* writer) {
      requests_.push_back(request);
      const size_t call = requests_.size() - 1;
      const bool lost = call < ends_.size();
      SendFile(request, file_, lost ? ends_[call] : file_.size(), kChunk,
               *writer);
      return lost ? kLost : grpc::Status::OK;
    };
  }

  absl::StatusOr<Downloaded> Run() {
    return Download(
        *stub_, options_, request_,
        [this](absl::string_view bytes) {
          absl::StrAppend(&received_, bytes);
          return sink_status_;
        },
        [this](const Progress& progress) { progress_ = progress; });
  }

  // An alias, as a file of torch's format.
  static v1::DownloadCheckpointRequest AliasRequest() {
    v1::DownloadCheckpointRequest request;
    request.set_name("aliases/prod");
    request.set_format(v1::FILE_FORMAT_TORCH);
    return request;
  }

  FakeServer server_;
  v1::DownloadCheckpointRequest request_ = AliasRequest();
  ClientOptions options_;
  std::unique_ptr<v1::Checkpoints::Stub> stub_;
  std::string file_ = VariedBytes(10'500);
  std::vector<size_t> ends_;
  std::vector<v1::DownloadCheckpointRequest> requests_;
  std::string received_;
  absl::Status sink_status_;
  Progress progress_;
};

TEST_F(DownloadTest, BytesArriveInOrder) {
  ASSERT_OK_AND_ASSIGN(const Downloaded downloaded, Run());
  EXPECT_TRUE(received_ == file_);
  EXPECT_EQ(downloaded.checkpoint, "checkpoints/c1");
  EXPECT_EQ(downloaded.size, 10'500);
  EXPECT_EQ(progress_.bytes_done, 10'500);
  EXPECT_EQ(progress_.bytes_total, 10'500);
  ASSERT_THAT(requests_, SizeIs(1));
  EXPECT_EQ(requests_[0].name(), "aliases/prod");
  EXPECT_EQ(requests_[0].format(), v1::FILE_FORMAT_TORCH);
}

TEST_F(DownloadTest, EmptyFileIsAFileToo) {
  file_ = "";
  ASSERT_OK_AND_ASSIGN(const Downloaded downloaded, Run());
  EXPECT_EQ(downloaded.size, 0);
}

TEST_F(DownloadTest, LostConnectionIsResumedWhereItStopped) {
  ends_ = {4'000, 7'250};
  ASSERT_OK(Run());
  EXPECT_TRUE(received_ == file_);
  ASSERT_THAT(requests_, SizeIs(3));
  EXPECT_EQ(requests_[1].offset(), 4'000);
  EXPECT_EQ(requests_[2].offset(), 7'250);
}

TEST_F(DownloadTest, ResumesWithTheCheckpointThatTheAliasNamed) {
  ends_ = {4'000};
  ASSERT_OK(Run());
  ASSERT_THAT(requests_, SizeIs(2));
  EXPECT_EQ(requests_[0].name(), "aliases/prod");
  EXPECT_EQ(requests_[1].name(), "checkpoints/c1");
}

TEST_F(DownloadTest, EachByteThatComesBuysNewPatience) {
  options_.retry.max_attempts = 2;
  options_.resume.max_attempts = 2;
  for (size_t end = 500; end < file_.size(); end += 500) ends_.push_back(end);
  ASSERT_OK(Run());
  EXPECT_TRUE(received_ == file_);
}

TEST_F(DownloadTest, ServerThatStaysLostIsGivenUp) {
  ends_.assign(100, 4'000);
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(requests_, SizeIs(options_.resume.max_attempts));
}

TEST_F(DownloadTest, OtherFailuresAreNotRetried) {
  server_.methods().download_checkpoint = [this](const auto& request, auto*) {
    requests_.push_back(request);
    return FailureWithDetails(grpc::StatusCode::NOT_FOUND, "no such alias",
                              "ALIAS_NOT_FOUND");
  };
  const auto downloaded = Run();
  EXPECT_THAT(downloaded,
              StatusIs(absl::StatusCode::kNotFound, "no such alias"));
  EXPECT_EQ(GetErrorDetails(downloaded.status()).reason, "ALIAS_NOT_FOUND");
  EXPECT_THAT(requests_, SizeIs(1));
}

TEST_F(DownloadTest, AStreamThatEndsEarlyIsDataLoss) {
  server_.methods().download_checkpoint = [this](const auto& request,
                                                 auto* writer) {
    SendFile(request, file_, 4'000, kChunk, *writer);
    return grpc::Status::OK;
  };
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kDataLoss,
                              HasSubstr("4000 bytes of 10500")));
}

TEST_F(DownloadTest, AnEmptyStreamIsDataLoss) {
  server_.methods().download_checkpoint = [](const auto&, auto*) {
    return grpc::Status::OK;
  };
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(DownloadTest, MoreBytesThanAnnouncedAreDataLoss) {
  server_.methods().download_checkpoint = [](const auto&, auto* writer) {
    v1::DownloadCheckpointResponse message;
    message.set_file_size(3);
    message.set_chunk("1234");
    writer->Write(message);
    return grpc::Status::OK;
  };
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kDataLoss,
                              HasSubstr("more than the 3 bytes")));
  EXPECT_EQ(received_, "");
}

TEST_F(DownloadTest, AFileOfAnotherSizeIsNotResumed) {
  ends_ = {4'000};
  const auto honest = server_.methods().download_checkpoint;
  server_.methods().download_checkpoint = [=, this](const auto& request,
                                                    auto* writer) {
    const grpc::Status status = honest(request, writer);
    file_ += "grown";
    return status;
  };
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kDataLoss,
                              HasSubstr("10505 when it was resumed")));
}

TEST_F(DownloadTest, SizeMustBeToldFirst) {
  server_.methods().download_checkpoint = [](const auto&, auto* writer) {
    v1::DownloadCheckpointResponse message;
    message.set_chunk("1234");
    writer->Write(message);
    return grpc::Status::OK;
  };
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kDataLoss,
                              HasSubstr("did not tell the file's size")));
}

TEST_F(DownloadTest, ASinkThatFailsEndsIt) {
  // Though the code is one that is retried when it comes from the server.
  sink_status_ = absl::UnavailableError("disk is away");
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kUnavailable, "disk is away"));
  EXPECT_THAT(requests_, SizeIs(1));
}

TEST_F(DownloadTest, PartsAreResumedAsTheCheckpointsThatTheyWereAtTheStart) {
  ends_ = {4000};
  request_.clear_name();
  for (const char* key : {"modelA", "modelB"}) {
    v1::DownloadPart* part = request_.add_parts();
    part->set_checkpoint(absl::StrCat("aliases/", key));
    part->set_key(key);
  }
  const absl::StatusOr<Downloaded> downloaded = Run();
  ASSERT_TRUE(downloaded.ok()) << downloaded.status();
  EXPECT_THAT(downloaded->parts,
              ElementsAre("checkpoints/c1", "checkpoints/c2"));
  EXPECT_TRUE(received_ == file_);
  ASSERT_THAT(requests_, SizeIs(2));
  EXPECT_EQ(requests_[0].parts(1).checkpoint(), "aliases/modelB");
  EXPECT_EQ(requests_[1].parts(1).checkpoint(), "checkpoints/c2");
  EXPECT_EQ(requests_[1].parts(1).key(), "modelB");
  EXPECT_EQ(requests_[1].offset(), 4000);
}

class DownloadToFileTest : public DownloadTest {
 protected:
  absl::StatusOr<Downloaded> RunToFile() {
    return Client::Connect(options_)->DownloadToFile(request_, path_);
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.Join("model.pt");
};

TEST_F(DownloadToFileTest, ResumedFileIsWhole) {
  ends_ = {4'000};
  ASSERT_OK(RunToFile());
  EXPECT_TRUE(ReadFile(path_) == file_);
  EXPECT_THAT(FilesIn(dir_.path()), ElementsAre("model.pt"));
}

TEST_F(DownloadToFileTest, FailureLeavesNoFile) {
  ends_.assign(100, 4'000);
  EXPECT_THAT(RunToFile(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(FilesIn(dir_.path()), IsEmpty());
}

TEST_F(DownloadToFileTest, FailureLeavesTheOldFile) {
  WriteFile(path_, "old");
  ends_.assign(100, 4'000);
  EXPECT_THAT(RunToFile(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(ReadFile(path_), "old");
}

}  // namespace
}  // namespace warmstart::client
