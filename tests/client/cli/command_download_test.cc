#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/cli/tool_fixture.h"
#include "tests/client/testing/test_files.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DownloadCommandTest : public ToolTest {
 protected:
  DownloadCommandTest() {
    methods().download_checkpoint = [this](const auto& request, auto* writer) {
      request_ = request;
      SendFile(request, file_, file_.size(), 1000, *writer);
      return grpc::Status::OK;
    };
  }

  const std::string file_ = VariedBytes(2048);
  v1::DownloadCheckpointRequest request_;
};

TEST_F(DownloadCommandTest, FileIsWritten) {
  const std::string path = dir_.Join("model.pt");
  const Ran ran = Run({"download", "aliases/prod", "-o", path});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, "downloaded checkpoints/c1 to " + path + ": 2.0 KiB\n");
  EXPECT_TRUE(ReadFile(path) == file_);
  EXPECT_EQ(request_.name(), "aliases/prod");
  EXPECT_EQ(request_.format(), v1::FILE_FORMAT_TORCH);
}

TEST_F(DownloadCommandTest, FormatFollowsTheNameUnlessItIsGiven) {
  Run({"download", "a", "-o", dir_.Join("model.safetensors")});
  EXPECT_EQ(request_.format(), v1::FILE_FORMAT_SAFETENSORS);
  Run({"download", "a", "-o", dir_.Join("model.safetensors"), "--format",
       "torch"});
  EXPECT_EQ(request_.format(), v1::FILE_FORMAT_TORCH);
  Run({"download", "a", "-o", dir_.Join("model.bin"), "--format=safetensors"});
  EXPECT_EQ(request_.format(), v1::FILE_FORMAT_SAFETENSORS);
}

TEST_F(DownloadCommandTest, DashIsStandardOutputWithNothingElse) {
  const Ran ran = Run({"download", "a", "-o", "-"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_TRUE(ran.out == file_);
  EXPECT_EQ(Run({"download", "a", "-o", "-", "--json"}).exit_code, 2);
}

TEST_F(DownloadCommandTest, JsonTellsWhatWasWritten) {
  const std::string path = dir_.Join("model.pt");
  const nlohmann::json json =
      nlohmann::json::parse(Run({"download", "a", "-o", path, "--json"}).out);
  EXPECT_EQ(json["checkpoint"], "checkpoints/c1");
  EXPECT_EQ(json["file"], path);
  EXPECT_EQ(json["size_bytes"], 2048);
}

TEST_F(DownloadCommandTest, WhereToIsRequired) {
  const Ran ran = Run({"download", "a"});
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_THAT(ran.err, HasSubstr("-o FILE is missing"));
}

TEST_F(DownloadCommandTest, SeveralHandlesAreOneFileUnderTheKeysGiven) {
  const std::string path = dir_.Join("both.pt");
  const Ran ran = Run({"download", "aliases/a", "aliases/b", "-o", path, "--as",
                       "modelA,modelB"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, "downloaded checkpoints/c1, checkpoints/c2 to " + path +
                         ": 2.0 KiB\n");
  EXPECT_TRUE(ReadFile(path) == file_);
  ASSERT_EQ(request_.parts_size(), 2);
  EXPECT_EQ(request_.name(), "");
  EXPECT_EQ(request_.parts(0).checkpoint(), "aliases/a");
  EXPECT_EQ(request_.parts(1).key(), "modelB");
}

TEST_F(DownloadCommandTest, EachOfSeveralHandlesNeedsAKey) {
  const std::string path = dir_.Join("both.pt");
  const Ran without = Run({"download", "a", "b", "-o", path});
  EXPECT_EQ(without.exit_code, 2);
  EXPECT_THAT(without.err, HasSubstr("--as KEY,KEY,... is missing"));
  const Ran fewer = Run({"download", "a", "b", "-o", path, "--as", "one"});
  EXPECT_EQ(fewer.exit_code, 2);
  EXPECT_THAT(fewer.err, HasSubstr("--as has 1 key for 2 checkpoints"));
}

TEST_F(DownloadCommandTest, FailureLeavesNoFile) {
  methods().download_checkpoint = [this](const auto& request, auto* writer) {
    SendFile(request, file_, 1000, 1000, *writer);
    return grpc::Status(grpc::StatusCode::DATA_LOSS, "a pack is broken");
  };
  const Ran ran = Run({"download", "a", "-o", dir_.Join("model.pt")});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("a pack is broken"));
  EXPECT_THAT(FilesIn(dir_.path()), IsEmpty());
}

}  // namespace
}  // namespace warmstart::client
