#include "client/cpp/resumable_upload.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cpp/client.h"
#include "client/cpp/prefix_digest.h"
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

constexpr int64_t kMiB = 1 << 20;
constexpr char kName[] = "uploads/u1";

grpc::Status Lost() { return {grpc::StatusCode::UNAVAILABLE, "going down"}; }

// One upload, in memory, of a server that breaks streams as a test says.
class FakeUploads : public v1::Uploads::Service {
 public:
  // A stream ends with the first of these once it has brought so many bytes.
  struct Break {
    int64_t after = 0;
    grpc::Status status = Lost();
  };
  std::vector<Break> breaks;
  grpc::Status create_status;  // where it is not OK, the answer

  v1::CreateUploadRequest created;
  std::vector<std::string> files;  // what came of each
  std::vector<int64_t> stream_bytes;
  int num_deleted = 0;

  void Begin(const std::vector<LocalFile>& local) {
    for (const LocalFile& file : local) {
      v1::UploadFile* sent = created.add_files();
      sent->set_name(file.name);
      sent->set_size(file.size);
    }
    files.resize(local.size());
  }

  grpc::Status CreateUpload(grpc::ServerContext*,
                            const v1::CreateUploadRequest* request,
                            v1::Upload* response) override {
    if (!create_status.ok()) return create_status;
    created = *request;
    files.resize(request->files_size());
    return Tell(response);
  }
  grpc::Status QueryUpload(grpc::ServerContext*, const v1::QueryUploadRequest*,
                           v1::Upload* response) override {
    return Tell(response);
  }
  grpc::Status WriteUpload(grpc::ServerContext*,
                           grpc::ServerReader<v1::WriteUploadRequest>* reader,
                           v1::Upload* response) override {
    int64_t& received = stream_bytes.emplace_back(0);
    int file = 0;
    v1::WriteUploadRequest message;
    while (true) {
      if (!breaks.empty() && received >= breaks.front().after) {
        const grpc::Status status = breaks.front().status;
        breaks.erase(breaks.begin());
        return status;
      }
      if (!reader->Read(&message)) return Tell(response);
      if (message.has_begin()) {
        file = message.begin().file();
        EXPECT_EQ(message.begin().upload(), kName);
        EXPECT_EQ(message.begin().offset(), files[file].size());
      } else {
        files[file] += message.chunk();
        received += static_cast<int64_t>(message.chunk().size());
      }
    }
  }
  grpc::Status DeleteUpload(grpc::ServerContext*,
                            const v1::DeleteUploadRequest* request,
                            google::protobuf::Empty*) override {
    EXPECT_EQ(request->name(), kName);
    ++num_deleted;
    return grpc::Status::OK;
  }

 private:
  grpc::Status Tell(v1::Upload* response) const {
    response->set_name(kName);
    *response->mutable_files() = created.files();
    for (size_t i = 0; i < files.size(); ++i) {
      v1::UploadFile& file = *response->mutable_files(static_cast<int>(i));
      file.set_committed_bytes(static_cast<int64_t>(files[i].size()));
      file.set_committed_sha256(digest_of(files[i]));
    }
    return grpc::Status::OK;
  }

 public:
  std::function<std::string(const std::string&)> digest_of =
      [](const std::string&) { return ""; };
};

class FakeModels : public v1::ModelInitializer::Service {
 public:
  std::vector<grpc::Status> failures;  // of the first calls
  std::vector<v1::SaveModelHeader> headers;

  grpc::Status SaveModel(grpc::ServerContext*,
                         grpc::ServerReader<v1::SaveModelRequest>* reader,
                         v1::SaveModelResponse* response) override {
    const ReceivedUpload received = ReceiveUpload(*reader);
    EXPECT_THAT(received.files, IsEmpty());
    headers.push_back(received.header);
    if (!failures.empty()) {
      const grpc::Status failure = failures.front();
      failures.erase(failures.begin());
      return failure;
    }
    response->mutable_checkpoint()->set_name("checkpoints/c1");
    return grpc::Status::OK;
  }
};

class ResumableUploadTest : public ::testing::Test {
 protected:
  ResumableUploadTest() {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(&uploads_);
    builder.RegisterService(&models_);
    server_ = builder.BuildAndStart();
    options_.address = absl::StrCat("127.0.0.1:", port);
    options_.sleep = [this](absl::Duration) { ++num_pauses_; };
    const auto channel = MakeChannel(options_);
    uploads_stub_ = v1::Uploads::NewStub(channel);
    models_stub_ = v1::ModelInitializer::NewStub(channel);
    header_.set_request_id("id-1");
    header_.set_alias("a");
    uploads_.digest_of = [this](const std::string& bytes) {
      return PrefixDigest(File("digest", bytes),
                          static_cast<int64_t>(bytes.size()))
          .value();
    };
  }

  LocalFile File(const std::string& name, const std::string& bytes) {
    WriteFile(dir_.Join(name), bytes);
    return {name, dir_.Join(name), static_cast<int64_t>(bytes.size())};
  }

  absl::StatusOr<v1::SaveModelResponse> Run(const std::vector<LocalFile>& files,
                                            UploadOptions upload_options = {}) {
    return ResumableUpload(
        *uploads_stub_, *models_stub_, options_, header_, files, upload_options,
        [this](const Progress& progress) { progress_.push_back(progress); });
  }

  testing::TempDir dir_;
  FakeUploads uploads_;
  FakeModels models_;
  std::unique_ptr<grpc::Server> server_;
  ClientOptions options_;
  std::unique_ptr<v1::Uploads::Stub> uploads_stub_;
  std::unique_ptr<v1::ModelInitializer::Stub> models_stub_;
  v1::SaveModelHeader header_;
  std::vector<Progress> progress_;
  int num_pauses_ = 0;
};

TEST_F(ResumableUploadTest, FilesArriveWholeAndAreSaved) {
  const std::string large = VariedBytes(3 * kMiB + 17);
  std::string told;
  ASSERT_OK_AND_ASSIGN(
      const v1::SaveModelResponse response,
      Run({File("large.pt", large), File("empty", ""), File("small", "abc")},
          {.on_begin = [&](const std::string& name) { told = name; }}));
  EXPECT_EQ(response.checkpoint().name(), "checkpoints/c1");
  EXPECT_EQ(told, kName);
  EXPECT_EQ(uploads_.created.header().alias(), "a");
  EXPECT_EQ(uploads_.created.header().upload(), "");
  EXPECT_EQ(uploads_.created.files(0).name(), "large.pt");
  EXPECT_TRUE(uploads_.files[0] == large);
  EXPECT_EQ(uploads_.files[2], "abc");
  ASSERT_THAT(models_.headers, SizeIs(1));
  EXPECT_EQ(models_.headers[0].upload(), kName);
  EXPECT_EQ(models_.headers[0].request_id(), "id-1");
  EXPECT_EQ(progress_.back().bytes_done, 3 * kMiB + 20);
  EXPECT_EQ(progress_.back().bytes_total, 3 * kMiB + 20);
}

TEST_F(ResumableUploadTest, ABrokenStreamIsGoneOnWith) {
  uploads_.breaks = {{2 * kMiB}, {kMiB}, {0}};
  const std::string large = VariedBytes(5 * kMiB);
  ASSERT_OK(Run({File("a", "first"), File("large.pt", large)}));
  EXPECT_TRUE(uploads_.files[1] == large);
  EXPECT_THAT(uploads_.stream_bytes,
              ElementsAre(2 * kMiB + 5, kMiB, 0, 2 * kMiB));
  EXPECT_EQ(progress_.back().bytes_done, 5 * kMiB + 5);
}

// Otherwise a large upload over a bad line would never come to its end.
TEST_F(ResumableUploadTest, AttemptsAreCountedFromTheLastThatBroughtBytes) {
  for (int i = 0; i < 40; ++i) uploads_.breaks.push_back({kMiB});
  EXPECT_OK(Run({File("large.pt", VariedBytes(41 * kMiB))}));
}

TEST_F(ResumableUploadTest, AServerThatKeepsNothingIsGivenUp) {
  for (int i = 0; i < 40; ++i) uploads_.breaks.push_back({0});
  EXPECT_THAT(Run({File("large.pt", VariedBytes(kMiB))}),
              StatusIs(absl::StatusCode::kUnavailable, "going down"));
  EXPECT_EQ(uploads_.stream_bytes.size(), options_.resume.max_attempts);
  EXPECT_EQ(uploads_.num_deleted, 0);
}

TEST_F(ResumableUploadTest, ABusyUploadIsWaitedFor) {
  for (int i = 0; i < 30; ++i) {
    uploads_.breaks.push_back({0, FailureWithDetails(grpc::StatusCode::ABORTED,
                                                     "busy", "UPLOAD_BUSY")});
  }
  ASSERT_OK(Run({File("large.pt", VariedBytes(kMiB))}));
  EXPECT_EQ(num_pauses_, 30);
}

TEST_F(ResumableUploadTest, AnotherOffsetIsAskedForAgain) {
  uploads_.breaks = {{0, FailureWithDetails(grpc::StatusCode::OUT_OF_RANGE,
                                            "offset", "UPLOAD_OFFSET")}};
  EXPECT_OK(Run({File("large.pt", VariedBytes(kMiB))}));
}

TEST_F(ResumableUploadTest, TheSaveIsRetriedWithTheSameRequestId) {
  models_.failures = {Lost(), Lost()};
  ASSERT_OK(Run({File("large.pt", VariedBytes(kMiB))}));
  ASSERT_THAT(models_.headers, SizeIs(3));
  EXPECT_EQ(models_.headers[2].request_id(), "id-1");
  EXPECT_THAT(uploads_.stream_bytes, SizeIs(1));
}

TEST_F(ResumableUploadTest, AFileThatCannotBeReadIsDeletedThere) {
  models_.failures = {FailureWithDetails(grpc::StatusCode::INVALID_ARGUMENT,
                                         "no checkpoint", "INVALID_FILE")};
  EXPECT_THAT(Run({File("large.pt", VariedBytes(kMiB))}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(uploads_.num_deleted, 1);
}

TEST_F(ResumableUploadTest, AfterAnotherRefusalItStays) {
  models_.failures = {
      FailureWithDetails(grpc::StatusCode::NOT_FOUND, "gone", "X")};
  EXPECT_THAT(Run({File("large.pt", VariedBytes(kMiB))}),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(uploads_.num_deleted, 0);
}

TEST_F(ResumableUploadTest, ARequestThatWasAnsweredIsAskedForAlone) {
  uploads_.create_status = {grpc::StatusCode::ALREADY_EXISTS, "answered"};
  ASSERT_OK_AND_ASSIGN(const v1::SaveModelResponse response,
                       Run({File("large.pt", VariedBytes(kMiB))}));
  EXPECT_EQ(response.checkpoint().name(), "checkpoints/c1");
  EXPECT_EQ(models_.headers[0].upload(), "");
  EXPECT_THAT(uploads_.stream_bytes, IsEmpty());
}

TEST_F(ResumableUploadTest, AnUploadOfBeforeIsGoneOnWith) {
  const std::string bytes = VariedBytes(3 * kMiB);
  const LocalFile file = File("large.pt", bytes);
  uploads_.Begin({file});
  uploads_.files[0] = bytes.substr(0, kMiB + 7);
  ASSERT_OK(Run({file}, {.resume = kName}));
  EXPECT_TRUE(uploads_.files[0] == bytes);
  EXPECT_THAT(uploads_.stream_bytes, ElementsAre(2 * kMiB - 7));
}

TEST_F(ResumableUploadTest, OtherFilesAreNotGoneOnWith) {
  const LocalFile file = File("large.pt", VariedBytes(kMiB));
  uploads_.Begin({file});
  uploads_.files[0] = "something else";
  EXPECT_THAT(Run({file}, {.resume = kName}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("has changed")));
  for (const LocalFile& other :
       {File("other.pt", VariedBytes(kMiB)), File("large.pt", "short")}) {
    EXPECT_THAT(Run({other}, {.resume = kName}),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         HasSubstr("other names or sizes")));
  }
  EXPECT_THAT(uploads_.stream_bytes, IsEmpty());
}

TEST_F(ResumableUploadTest, AFileThatIsGoneIsNotRetried) {
  const LocalFile file = File("large.pt", VariedBytes(kMiB));
  std::filesystem::remove(file.path);
  EXPECT_THAT(Run({file}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(file.path)));
}

// FakeServer has no Uploads.
TEST(ClientSaveTest, AnOldServerTakesLargeFilesInOneStream) {
  const testing::TempDir dir;
  FakeServer server;
  ReceivedUpload received;
  server.methods().save_model = [&](auto* reader, auto*) {
    received = ReceiveUpload(*reader);
    return grpc::Status::OK;
  };
  ClientOptions options{.address = server.address()};
  options.resumable_bytes = 3;
  const std::string path = dir.Join("model.pt");
  WriteFile(path, "abc");
  ASSERT_OK(Client::Connect(options)->Save({path}, {}));
  ASSERT_THAT(received.files, SizeIs(1));
  EXPECT_EQ(received.files[0].bytes, "abc");
}

}  // namespace
}  // namespace warmstart::client
