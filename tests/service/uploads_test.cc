#include "server/service/uploads.h"

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/uploads/upload_store.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::warmstart::testing::StatusIs;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

class UploadsTest : public ::testing::Test {
 protected:
  absl::StatusOr<store::Upload> Create(
      std::vector<store::UploadFile> files,
      const std::optional<SaveModelRequest>& save = std::nullopt) {
    return CreateUpload(world_.context(), std::move(files), save);
  }

  // A complete upload of one file.
  std::string MustUpload(const std::string& file) {
    const store::Upload upload =
        Create({{"model.pt", static_cast<int64_t>(file.size())}}).value();
    WriteUpload write(world_.store());
    EXPECT_OK(write.Begin(upload.name.ToString(), 0, 0));
    EXPECT_OK(write.Append(file));
    EXPECT_OK(write.Finish());
    return upload.name.ToString();
  }

  absl::StatusOr<SaveModelResult> Save(const std::string& upload,
                                       SaveModelRequest request = {}) {
    request.upload = upload;
    return world_.Save({}, request);
  }

  bool Exists(const std::string& upload) {
    return QueryUpload(world_.store(), upload, false).ok();
  }

  World world_;
};

TEST_F(UploadsTest, AnUploadIsSavedAsIfItsFilesWereSent) {
  const std::string file = MakeTorchFile(RecipeTensors());
  SaveModelRequest request;
  request.architecture = "NetA";
  request.options.alias = "a";
  const std::string upload = MustUpload(file);
  ASSERT_OK_AND_ASSIGN(const SaveModelResult result, Save(upload, request));
  ASSERT_OK_AND_ASSIGN(const SaveModelResult sent,
                       world_.Save({{"model.pt", file}}, request));
  EXPECT_EQ(world_.ManifestOf(result.checkpoint.name.ToString()).entries,
            world_.ManifestOf(sent.checkpoint.name.ToString()).entries);
  EXPECT_EQ(result.checkpoint.origin_json, sent.checkpoint.origin_json);
  EXPECT_EQ(result.checkpoint.report_json, sent.checkpoint.report_json);
  EXPECT_FALSE(Exists(upload));
}

TEST_F(UploadsTest, ARetryIsAnsweredWhenTheUploadIsGone) {
  SaveModelRequest request;
  request.options.request_id = "id-1";
  const std::string upload = MustUpload(MakeSafetensors(RecipeTensors()));
  ASSERT_OK_AND_ASSIGN(const SaveModelResult first, Save(upload, request));
  ASSERT_OK_AND_ASSIGN(const SaveModelResult second, Save(upload, request));
  EXPECT_EQ(first.checkpoint.name, second.checkpoint.name);
  EXPECT_THAT(Save(upload), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(UploadsTest, ASaveThatFailsLeavesTheUpload) {
  const std::string upload = MustUpload("Dear diary");
  const auto refused = Save(upload);
  EXPECT_THAT(refused, StatusIs(kInvalid, HasSubstr("model.pt")));
  EXPECT_EQ(ReasonOf(refused.status()), "INVALID_FILE");
  EXPECT_TRUE(Exists(upload));
  ASSERT_OK(DeleteUpload(world_.store(), upload));
  EXPECT_FALSE(Exists(upload));
}

TEST_F(UploadsTest, AnIncompleteUploadIsNotSaved) {
  ASSERT_OK_AND_ASSIGN(const store::Upload upload, Create({{"a", 5}}));
  const auto refused = Save(upload.name.ToString());
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(ReasonOf(refused.status()), "UPLOAD_INCOMPLETE");
}

TEST_F(UploadsTest, NothingIsSentBesidesAnUpload) {
  SaveModelRequest request;
  request.upload = MustUpload(MakeSafetensors(RecipeTensors()));
  ASSERT_OK_AND_ASSIGN(const auto save,
                       SaveModel::Begin(world_.context(), request));
  EXPECT_THAT(save->BeginFile("b", 5), StatusIs(kInvalid));
  EXPECT_THAT(save->Append("b"), StatusIs(kInvalid));
}

TEST_F(UploadsTest, NamesAndSizesAreChecked) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(FieldOf(Create({}).status()), "files");
  EXPECT_EQ(FieldOf(Create({{"a", 1}, {"b", -1}}).status()), "files[1].size");
  EXPECT_EQ(FieldOf(Create({{"a", kMost}, {"b", 1}}).status()),
            "files[1].size");
  EXPECT_EQ(FieldOf(Create({{std::string(1025, 'a'), 1}}).status()),
            "files[0].name");
  const store::UploadFile long_name{std::string(1024, 'a'), 1};
  EXPECT_OK(Create(std::vector<store::UploadFile>(1024, long_name)));
  EXPECT_EQ(
      FieldOf(Create(std::vector<store::UploadFile>(1025, long_name)).status()),
      "files");
  EXPECT_EQ(
      FieldOf(Create(std::vector<store::UploadFile>(4097, {"a", 1})).status()),
      "files[4096]");
}

TEST_F(UploadsTest, WhatTheFilesAreForIsCheckedAtOnce) {
  SaveModelRequest save;
  save.architecture = "NoSuch";
  EXPECT_THAT(Create({{"a", 1}}, save), StatusIs(absl::StatusCode::kNotFound));
  save = {};
  save.options.labels = {{"not a key", ""}};
  EXPECT_THAT(Create({{"a", 1}}, save), StatusIs(kInvalid));
  save = {};
  save.upload = "uploads/x";
  EXPECT_EQ(FieldOf(Create({{"a", 1}}, save).status()), "header.upload");
  save = {};
  save.options.request_id = "id-1";
  EXPECT_OK(Create({{"a", 1}}, save));
  ASSERT_OK(Save(MustUpload(MakeSafetensors(RecipeTensors())), save));
  const auto answered = Create({{"a", 1}}, save);
  EXPECT_THAT(answered, StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(ReasonOf(answered.status()), "REQUEST_ANSWERED");
}

TEST_F(UploadsTest, OneStreamIsForOneUpload) {
  ASSERT_OK_AND_ASSIGN(const store::Upload one, Create({{"a", 5}, {"b", 5}}));
  ASSERT_OK_AND_ASSIGN(const store::Upload other, Create({{"a", 5}}));
  WriteUpload write(world_.store());
  EXPECT_EQ(FieldOf(write.Append("x")), "chunk");
  EXPECT_EQ(FieldOf(write.Finish().status()), "begin");
  EXPECT_EQ(FieldOf(write.Begin("", 0, 0)), "upload");
  EXPECT_EQ(FieldOf(write.Begin("uploads/../x", 0, 0)), "upload");
  ASSERT_OK(write.Begin(one.name.ToString(), 0, 0));
  EXPECT_EQ(FieldOf(write.Begin(other.name.ToString(), 0, 0)), "upload");
  ASSERT_OK(write.Append("aaaaa"));
  ASSERT_OK(write.Begin("", 1, 0));
  ASSERT_OK(write.Append("bb"));
  ASSERT_OK_AND_ASSIGN(const store::Upload upload, write.Finish());
  EXPECT_EQ(upload.files[0].committed_bytes, 5);
  EXPECT_EQ(upload.files[1].committed_bytes, 2);
}

TEST_F(UploadsTest, ARestartKeepsWhatWasCommitted) {
  const std::string upload = MustUpload(MakeSafetensors(RecipeTensors()));
  world_.Restart();
  ASSERT_OK(Save(upload));
  EXPECT_EQ(world_.num_checkpoints(), 1);
  EXPECT_THAT(world_.Staged(), IsEmpty());
}

}  // namespace
}  // namespace warmstart::service
