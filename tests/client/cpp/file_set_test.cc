#include "client/cpp/file_set.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/testing/test_files.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

class FileSetTest : public ::testing::Test {
 protected:
  LocalFile File(const std::string& name, const std::string& bytes = "1234") {
    WriteFile(dir_.Join(name), bytes);
    return {name, dir_.Join(name), static_cast<int64_t>(bytes.size())};
  }

  LocalFile Index(const std::string& name, const std::string& weight_map) {
    return File(name, "{\"metadata\": {}, \"weight_map\": " + weight_map + "}");
  }

  testing::TempDir dir_;
};

TEST_F(FileSetTest, AFileIsItself) {
  const LocalFile file = File("model.pt");
  EXPECT_THAT(ResolveFileSet({file.path}), IsOkAndHolds(ElementsAre(file)));
}

TEST_F(FileSetTest, SeveralFilesAreOneSetInTheirOrder) {
  const LocalFile b = File("b.pt");
  const LocalFile a = File("a.pt", "");
  EXPECT_THAT(ResolveFileSet({b.path, a.path}),
              IsOkAndHolds(ElementsAre(b, a)));
}

TEST_F(FileSetTest, AnIndexBringsItsShards) {
  const LocalFile one = File("model-1.safetensors");
  const LocalFile two = File("model-2.safetensors");
  File("unrelated.safetensors");
  const LocalFile index =
      Index("model.safetensors.index.json",
            R"({"a": "model-2.safetensors", "b": "model-1.safetensors",
          "c": "model-2.safetensors"})");
  EXPECT_THAT(ResolveFileSet({index.path}),
              IsOkAndHolds(ElementsAre(index, one, two)));
  // A shard that the user names too is sent once.
  EXPECT_THAT(ResolveFileSet({one.path, index.path}),
              IsOkAndHolds(ElementsAre(one, index, two)));
}

TEST_F(FileSetTest, AFolderStandsForItsIndexOrItsOnlyCheckpoint) {
  const LocalFile shard = File("model-1.bin");
  File("config.json");
  EXPECT_THAT(ResolveFileSet({dir_.path()}), IsOkAndHolds(ElementsAre(shard)));
  File("training_args.bin");
  EXPECT_THAT(ResolveFileSet({dir_.path()}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("(model-1.bin, training_args.bin)")));
  const LocalFile index =
      Index("pytorch_model.bin.index.json", R"({"a": "model-1.bin"})");
  EXPECT_THAT(ResolveFileSet({dir_.path()}),
              IsOkAndHolds(ElementsAre(index, shard)));
}

TEST_F(FileSetTest, AFolderWithoutCheckpointIsRefused) {
  File("readme.txt");
  EXPECT_THAT(ResolveFileSet({dir_.path()}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("holds no checkpoint")));
}

TEST_F(FileSetTest, ShardsOutsideTheFolderAreRefused) {
  for (const char* name : {"../secret.bin", "/etc/passwd", "sub/model.bin",
                           "..", "a\\\\b", "", "a\\u0000b"}) {
    const LocalFile index =
        Index("model.bin.index.json", std::string(R"({"a": ")") + name + "\"}");
    EXPECT_THAT(ResolveFileSet({index.path}),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("no plain file name")))
        << name;
  }
}

TEST_F(FileSetTest, IndexesThatAreNoneAreRefused) {
  const std::string path = dir_.Join("model.bin.index.json");
  WriteFile(path, "{\"weight_map\": ");
  EXPECT_THAT(ResolveFileSet({path}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("is not valid JSON")));
  WriteFile(path, "[1, 2]");
  EXPECT_THAT(ResolveFileSet({path}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("no \"weight_map\"")));
  WriteFile(path, R"({"weight_map": {"a": 1}})");
  EXPECT_THAT(ResolveFileSet({path}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("1 for key \"a\"")));
  WriteFile(path, R"({"weight_map": {"a": "model.bin.index.json"}})");
  EXPECT_THAT(
      ResolveFileSet({path}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("another index")));
}

TEST_F(FileSetTest, AMissingShardIsNamedWithItsIndex) {
  const LocalFile index =
      Index("model.bin.index.json", R"({"a": "model-1.bin"})");
  EXPECT_THAT(ResolveFileSet({index.path}),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("model-1.bin"), HasSubstr(index.path))));
}

TEST_F(FileSetTest, TwoFilesOfOneNameAreRefused) {
  std::filesystem::create_directory(dir_.Join("other"));
  const LocalFile one = File("model.pt");
  const LocalFile two = File("other/model.pt");
  EXPECT_THAT(ResolveFileSet({one.path, two.path}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("have the same name")));
}

TEST_F(FileSetTest, WhatIsNoRegularFileIsRefused) {
  const std::string fifo = dir_.Join("pipe.pt");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(ResolveFileSet({fifo}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("not a regular file")));
  EXPECT_THAT(ResolveFileSet({dir_.Join("nothing.pt")}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nothing.pt")));
  EXPECT_THAT(ResolveFileSet({}), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(FileSetTest, ALinkGivesTheNameAndItsTargetTheBytes) {
  File("blob-0f3a", "12345678");
  std::filesystem::create_symlink("blob-0f3a", dir_.Join("model.pt"));
  EXPECT_THAT(ResolveFileSet({dir_.Join("model.pt")}),
              IsOkAndHolds(ElementsAre(
                  LocalFile{"model.pt", dir_.Join("model.pt"), 8})));
}

}  // namespace
}  // namespace warmstart::client
