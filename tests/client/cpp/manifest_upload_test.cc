#include "client/cpp/manifest_upload.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cpp/client.h"
#include "client/cpp/safetensors_head.h"
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

class ManifestUploadTest : public ::testing::Test {
 protected:
  ManifestUploadTest() {
    options_.address = server_.address();
    options_.sleep = [](absl::Duration) {};
    const auto channel = MakeChannel(options_);
    models_ = v1::ModelInitializer::NewStub(channel);
    uploads_stub_ = v1::Uploads::NewStub(channel);
    header_.set_request_id("id-1");
    for (int i = 0; i < 5000; ++i) {
      manifest_.add_entries()->set_key(absl::StrCat("key", i));
    }
    manifest_.add_storages()->set_size_bytes(8);
    manifest_.add_subtrees("model");
    manifest_.add_module_versions()->set_version(2);
    manifest_.set_metadata_json("{}");
    server_.methods().find_missing_tensors = [this](const auto& request,
                                                    auto* response) {
      questions_.push_back(request.digests_size());
      for (const std::string& digest : request.digests()) {
        if (known_ != digest) response->add_missing(digest);
      }
      return grpc::Status::OK;
    };
    server_.methods().save_model = [this](auto* reader, auto* response) {
      uploads_.push_back(ReceiveUpload(*reader));
      response->mutable_checkpoint()->set_name("checkpoints/c1");
      if (failures_.empty()) return grpc::Status::OK;
      const grpc::Status failure = failures_.back();
      failures_.pop_back();
      return failure;
    };
  }

  LocalBlob Blob(const std::string& digest, const std::string& bytes) {
    // After three bytes of something else.
    WriteFile(dir_.Join(digest), "xyz" + bytes);
    return {digest, {dir_.Join(digest), 3, static_cast<int64_t>(bytes.size())}};
  }

  absl::StatusOr<v1::SaveModelResponse> Run(
      const std::vector<LocalBlob>& blobs) {
    return UploadManifest(
        *models_, *uploads_stub_, options_, header_, manifest_, blobs,
        [this](const Progress& progress) { progress_ = progress; });
  }

  testing::TempDir dir_;
  FakeServer server_;
  ClientOptions options_;
  std::unique_ptr<v1::ModelInitializer::Stub> models_;
  std::unique_ptr<v1::Uploads::Stub> uploads_stub_;
  v1::SaveModelHeader header_;
  v1::Manifest manifest_;
  std::string known_;
  std::vector<int> questions_;
  std::vector<ReceivedUpload> uploads_;
  std::vector<grpc::Status> failures_;  // the last comes first
  Progress progress_;
};

TEST_F(ManifestUploadTest, WhatIsMissingGoesInOneFile) {
  known_ = "b";
  ASSERT_OK_AND_ASSIGN(
      const v1::SaveModelResponse response,
      Run({Blob("a", "123"), Blob("b", "known"), Blob("c", "12345678")}));
  EXPECT_EQ(response.checkpoint().name(), "checkpoints/c1");
  ASSERT_THAT(uploads_, SizeIs(1));
  EXPECT_EQ(uploads_[0].header.request_id(), "id-1");
  EXPECT_EQ(uploads_[0].manifest.SerializeAsString(),
            manifest_.SerializeAsString());
  ASSERT_THAT(uploads_[0].files, SizeIs(1));
  const ReceivedFile& file = uploads_[0].files[0];
  // That whose elements may be wider is first.
  EXPECT_EQ(file.bytes,
            SafetensorsHead({{"c", 8}, {"a", 3}}) + "12345678" + "123");
  EXPECT_EQ(file.header.size(), file.bytes.size());
  EXPECT_EQ(progress_.bytes_done, file.bytes.size());
  EXPECT_EQ(progress_.bytes_total, file.bytes.size());
}

TEST_F(ManifestUploadTest, WhereNothingIsMissingThereIsNoFile) {
  known_ = "a";
  ASSERT_OK(Run({Blob("a", "123")}));
  ASSERT_THAT(uploads_, SizeIs(1));
  EXPECT_THAT(uploads_[0].files, IsEmpty());
}

TEST_F(ManifestUploadTest, ManyAreAskedForInParts) {
  const LocalBlob empty = Blob("a", "");
  std::vector<LocalBlob> blobs(25'000, empty);
  known_ = "a";
  ASSERT_OK(Run(blobs));
  EXPECT_THAT(questions_, ElementsAre(10'000, 10'000, 5'000));
}

TEST_F(ManifestUploadTest, WhatVanishedIsAskedForAgain) {
  known_ = "a";
  failures_ = {FailureWithDetails(grpc::StatusCode::FAILED_PRECONDITION, "gone",
                                  "TENSORS_MISSING"),
               {grpc::StatusCode::ABORTED, "gone"}};
  ASSERT_OK(Run({Blob("a", "123")}));
  EXPECT_THAT(questions_, ElementsAre(1, 1));
  EXPECT_THAT(uploads_[0].files, IsEmpty());
  // Whatever vanished twice is sent.
  EXPECT_THAT(uploads_[2].files, SizeIs(1));
}

TEST_F(ManifestUploadTest, WhatIsStillMissingWhereAllIsSentIsAnError) {
  const grpc::Status gone = FailureWithDetails(
      grpc::StatusCode::FAILED_PRECONDITION, "gone", "TENSORS_MISSING");
  failures_.assign(10, gone);
  EXPECT_THAT(Run({Blob("a", "123")}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(questions_, SizeIs(2));
  EXPECT_THAT(uploads_, SizeIs(3));
}

TEST_F(ManifestUploadTest, ALostConnectionIsTriedAgain) {
  failures_ = {kLost, kLost};
  ASSERT_OK(Run({Blob("a", "123")}));
  EXPECT_THAT(uploads_, SizeIs(3));
}

TEST_F(ManifestUploadTest, OtherFailuresAreNot) {
  failures_ = {{grpc::StatusCode::INVALID_ARGUMENT, "no"}};
  EXPECT_THAT(Run({Blob("a", "123")}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(uploads_, SizeIs(1));
}

TEST_F(ManifestUploadTest, AFileThatIsTooShortIsALocalFailure) {
  LocalBlob blob = Blob("a", "123");
  blob.bytes.size = 4;
  EXPECT_THAT(Run({blob}), StatusIs(absl::StatusCode::kFailedPrecondition,
                                    HasSubstr(blob.bytes.path)));
  EXPECT_THAT(questions_, SizeIs(1));
}

}  // namespace
}  // namespace warmstart::client
