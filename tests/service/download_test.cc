#include "server/service/download.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

// The rest of a download, read in pieces.
absl::StatusOr<std::string> ReadRest(Download& download, size_t chunk_bytes) {
  std::string all;
  std::string chunk;
  while (true) {
    const absl::Status status = download.Read(chunk_bytes, &chunk);
    if (!status.ok()) return status;
    if (chunk.empty()) return all;
    EXPECT_LE(chunk.size(), chunk_bytes);
    all += chunk;
    // Short only at the end.
    if (chunk.size() < chunk_bytes) {
      EXPECT_OK(download.Read(chunk_bytes, &chunk));
      EXPECT_EQ(chunk, "");
      return all;
    }
  }
}

absl::StatusOr<std::string> DownloadFrom(World& world,
                                         const std::string& handle,
                                         FileFormat format, int64_t offset,
                                         size_t chunk_bytes) {
  absl::StatusOr<std::unique_ptr<Download>> download =
      Download::Open(world.context(), handle, format, offset);
  if (!download.ok()) return download.status();
  return ReadRest(**download, chunk_bytes);
}

// Small, with every kind of segment.
std::vector<Tensor> SmallTensors() {
  return {FloatTensor("a", {3}),
          FloatTensor("empty", {0}),
          FloatTensor("b.weight", {5, 2}),
          {"bytes", DType::kUint8, {7}, "seven77"}};
}

// Too large for the catalog.
std::vector<Tensor> PackTensors() { return {FloatTensor("a", {40'000})}; }

class DownloadTest : public ::testing::TestWithParam<FileFormat> {};

TEST_P(DownloadTest, WhatWasSavedComesBack) {
  World world;
  const std::vector<Tensor> tensors = SmallTensors();
  const std::string handle = world.MustSave(MakeSafetensors(tensors));
  ASSERT_OK_AND_ASSIGN(const std::string file,
                       DownloadFrom(world, handle, GetParam(), 0, 1 << 20));
  ASSERT_OK_AND_ASSIGN(const SaveModelResult again,
                       world.Save({{"again", file}}));
  EXPECT_EQ(world.Values(again.checkpoint.name.ToString()),
            world.Values(handle));
}

TEST_P(DownloadTest, EveryOffsetGivesTheRestOfTheFile) {
  World world;
  const std::string handle = world.MustSave(MakeSafetensors(SmallTensors()));
  ASSERT_OK_AND_ASSIGN(const std::string file,
                       DownloadFrom(world, handle, GetParam(), 0, 1 << 20));
  for (size_t offset = 0; offset <= file.size(); ++offset) {
    ASSERT_OK_AND_ASSIGN(
        const std::string rest,
        DownloadFrom(world, handle, GetParam(), offset, 1 << 20));
    ASSERT_EQ(rest, file.substr(offset)) << offset;
  }
}

TEST_P(DownloadTest, EveryChunkSizeGivesTheSameFile) {
  World world;
  const std::string handle = world.MustSave(MakeSafetensors(SmallTensors()));
  ASSERT_OK_AND_ASSIGN(const std::string file,
                       DownloadFrom(world, handle, GetParam(), 0, 1 << 20));
  for (size_t chunk = 1; chunk <= file.size() + 1; ++chunk) {
    ASSERT_OK_AND_ASSIGN(const std::string again,
                         DownloadFrom(world, handle, GetParam(), 0, chunk));
    ASSERT_EQ(again, file) << chunk;
  }
}

TEST_P(DownloadTest, TheSizeIsKnownBeforeAByteIsRead) {
  World world;
  const std::string handle = world.MustSave(MakeSafetensors(SmallTensors()));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Download> download,
                       Download::Open(world.context(), handle, GetParam(), 0));
  EXPECT_EQ(download->checkpoints().front().ToString(), handle);
  ASSERT_OK_AND_ASSIGN(const std::string file, ReadRest(*download, 100));
  EXPECT_EQ(download->file_size(), file.size());
}

TEST_P(DownloadTest, OffsetsOutsideTheFileAreOutOfRange) {
  World world;
  const std::string handle = world.MustSave(MakeSafetensors(SmallTensors()));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Download> download,
                       Download::Open(world.context(), handle, GetParam(), 0));
  for (const int64_t offset :
       {int64_t{-1}, download->file_size() + 1, INT64_MAX, INT64_MIN}) {
    const auto refused =
        Download::Open(world.context(), handle, GetParam(), offset);
    EXPECT_THAT(refused, StatusIs(absl::StatusCode::kOutOfRange));
    EXPECT_EQ(FieldOf(refused.status()), "offset");
  }
}

TEST_P(DownloadTest, APackThatIsGoneIsDataLoss) {
  World world;
  const std::string handle = world.MustSave(MakeSafetensors(PackTensors()));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Download> download,
                       Download::Open(world.context(), handle, GetParam(), 0));
  for (const std::string& pack : world.Packs()) {
    std::filesystem::remove(world.PackPath(pack));
  }
  const auto file = ReadRest(*download, 1 << 20);
  EXPECT_THAT(file, StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(ReasonOf(file.status()), "DATA_LOSS");
}

TEST_P(DownloadTest, APackThatWasCutShortIsDataLossAndNoCrash) {
  World world;
  const std::string handle = world.MustSave(MakeSafetensors(PackTensors()));
  ASSERT_OK(DownloadFrom(world, handle, GetParam(), 0, 1 << 20));
  for (const std::string& pack : world.Packs()) {
    std::filesystem::resize_file(world.PackPath(pack), 1);
  }
  EXPECT_THAT(DownloadFrom(world, handle, GetParam(), 0, 1 << 20),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST_P(DownloadTest, ATensorThatIsDamagedIsDataLossAndNamed) {
  World world;
  const std::vector<Tensor> tensors = {FloatTensor("whole", {40'000}),
                                       FloatTensor("broken", {30'000})};
  const std::string handle = world.MustSave(MakeSafetensors(tensors));
  world.Restart();
  ASSERT_EQ(world.Packs().size(), 1);
  const std::string path = world.PackPath(world.Packs()[0]);
  // The last byte of the file is of its last tensor.
  std::fstream pack(path, std::ios::in | std::ios::out | std::ios::binary);
  pack.seekg(-1, std::ios::end);
  const char flipped = static_cast<char>(pack.get() ^ 1);
  pack.seekp(-1, std::ios::end);
  pack.put(flipped);
  pack.close();
  const auto file = DownloadFrom(world, handle, GetParam(), 0, 1 << 20);
  EXPECT_THAT(file, StatusIs(absl::StatusCode::kDataLoss,
                             AllOf(HasSubstr("'broken'"), HasSubstr(handle))));
  EXPECT_EQ(ReasonOf(file.status()), "DATA_LOSS");
}

TEST_P(DownloadTest, ACheckpointDeletedMeanwhileIsNotFound) {
  World world;
  const std::string handle = world.MustSave(MakeSafetensors(RecipeTensors()));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Download> download,
                       Download::Open(world.context(), handle, GetParam(), 0));
  std::string chunk;
  ASSERT_OK(download->Read(5000, &chunk));
  ASSERT_OK(
      world.store().DeleteCheckpoint(download->checkpoints().front(), false));
  const auto rest = ReadRest(*download, 5000);
  EXPECT_THAT(rest, StatusIs(absl::StatusCode::kNotFound,
                             HasSubstr("was deleted while")));
  EXPECT_EQ(ReasonOf(rest.status()), "CHECKPOINT_NOT_FOUND");
}

// Its tensors are those of another checkpoint too.
TEST_P(DownloadTest, ADeletedCheckpointWhoseTensorsStayCompletes) {
  World world;
  const std::string file = MakeSafetensors(RecipeTensors());
  const std::string handle = world.MustSave(file);
  const std::string other = world.MustSave(file);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Download> download,
                       Download::Open(world.context(), handle, GetParam(), 0));
  ASSERT_OK(
      world.store().DeleteCheckpoint(download->checkpoints().front(), false));
  ASSERT_OK_AND_ASSIGN(const std::string rest, ReadRest(*download, 5000));
  ASSERT_OK_AND_ASSIGN(const std::string whole,
                       DownloadFrom(world, other, GetParam(), 0, 1 << 20));
  EXPECT_EQ(rest, whole);
}

TEST_P(DownloadTest, AnAliasIsFollowedWhenTheDownloadBegins) {
  World world;
  const std::string first =
      world.MustSave(MakeSafetensors({FloatTensor("w", {3}, 1)}));
  const std::string second =
      world.MustSave(MakeSafetensors({FloatTensor("w", {3}, 2)}));
  const AliasName alias = AliasName::Parse("prod").value();
  ASSERT_OK(
      world.store().SetAlias(alias, CheckpointName::Parse(first).value()));
  ASSERT_OK_AND_ASSIGN(
      const std::unique_ptr<Download> download,
      Download::Open(world.context(), "aliases/prod", GetParam(), 0));
  ASSERT_OK(
      world.store().SetAlias(alias, CheckpointName::Parse(second).value()));
  EXPECT_EQ(download->checkpoints().front().ToString(), first);
  ASSERT_OK_AND_ASSIGN(const std::string file, ReadRest(*download, 100));
  EXPECT_THAT(file, HasSubstr(FloatTensor("w", {3}, 1).bytes));
}

TEST_P(DownloadTest, WhatIsNotThereIsNotFound) {
  World world;
  EXPECT_THAT(
      Download::Open(world.context(), "checkpoints/nobody", GetParam(), 0),
      StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Download::Open(world.context(), "", GetParam(), 0),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_P(DownloadTest, SeveralCheckpointsAreOneFile) {
  World world;
  const std::string a = world.MustSave(MakeSafetensors(RecipeTensors(1)));
  const std::string b = world.MustSave(MakeSafetensors(RecipeTensors(2)));
  const std::vector<DownloadPart> parts = {{a, "modelA"}, {b, "modelB"}};
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Download> download,
                       Download::Open(world.context(), parts, GetParam(), 0));
  EXPECT_EQ(download->checkpoints()[0].ToString(), a);
  EXPECT_EQ(download->checkpoints()[1].ToString(), b);
  ASSERT_OK_AND_ASSIGN(const std::string file, ReadRest(*download, 5000));
  EXPECT_EQ(download->file_size(), file.size());
  ASSERT_OK_AND_ASSIGN(const SaveModelResult saved,
                       world.Save({{"both", file}}));
  const std::string both = saved.checkpoint.name.ToString();
  if (GetParam() == FileFormat::kTorch) {
    EXPECT_THAT(world.ManifestOf(both).subtrees,
                ElementsAre("modelA", "modelB"));
  }
  const auto values = world.Values(both);
  EXPECT_EQ(values.size(), 2 * RecipeTensors().size());
  for (const auto& [key, bytes] : world.Values(a)) {
    EXPECT_EQ(values.at("modelA." + key), bytes);
  }
  for (const auto& [key, bytes] : world.Values(b)) {
    EXPECT_EQ(values.at("modelB." + key), bytes);
  }
}

TEST_P(DownloadTest, EveryOffsetOfAFileOfSeveralGivesItsRest) {
  World world;
  const std::string handle = world.MustSave(MakeSafetensors(SmallTensors()));
  const std::vector<DownloadPart> parts = {{handle, "a"}, {handle, "b"}};
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Download> download,
                       Download::Open(world.context(), parts, GetParam(), 0));
  ASSERT_OK_AND_ASSIGN(const std::string file, ReadRest(*download, 1 << 20));
  for (size_t offset = 0; offset <= file.size(); offset += 7) {
    ASSERT_OK_AND_ASSIGN(
        const std::unique_ptr<Download> rest,
        Download::Open(world.context(), parts, GetParam(), offset));
    ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadRest(*rest, 1 << 20));
    ASSERT_EQ(bytes, file.substr(offset)) << offset;
  }
}

TEST_P(DownloadTest, PartsThatCannotBeNamedAreRefused) {
  World world;
  const std::string handle = world.MustSave(MakeSafetensors(SmallTensors()));
  const auto refused = [&](const std::vector<DownloadPart>& parts) {
    return FieldOf(
        Download::Open(world.context(), parts, GetParam(), 0).status());
  };
  EXPECT_EQ(refused({}), "parts");
  EXPECT_EQ(refused(std::vector<DownloadPart>(65, {handle, "a"})), "parts");
  EXPECT_EQ(refused({{handle, "a"}, {handle, ""}}), "parts[1].key");
  EXPECT_EQ(refused({{handle, "a.b"}}), "parts[0].key");
  EXPECT_EQ(refused({{handle, "\xff"}}), "parts[0].key");
  EXPECT_EQ(refused({{handle, "a"}, {handle, "a"}}), "parts[1].key");
  EXPECT_EQ(refused({{handle, "a"}, {"", "b"}}), "parts[1].checkpoint");
}

TEST_P(DownloadTest, APartThatWasDeletedMeanwhileIsNamed) {
  World world;
  const std::string a = world.MustSave(MakeSafetensors(RecipeTensors(1)));
  const std::string b = world.MustSave(MakeSafetensors(RecipeTensors(2)));
  const std::vector<DownloadPart> parts = {{a, "a"}, {b, "b"}};
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Download> download,
                       Download::Open(world.context(), parts, GetParam(), 0));
  ASSERT_OK(world.store().DeleteCheckpoint(download->checkpoints()[1], false));
  EXPECT_THAT(ReadRest(*download, 5000),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr(b + " was deleted while")));
}

INSTANTIATE_TEST_SUITE_P(Formats, DownloadTest,
                         ::testing::Values(FileFormat::kTorch,
                                           FileFormat::kSafetensors),
                         [](const auto& info) {
                           return info.param == FileFormat::kTorch
                                      ? "Torch"
                                      : "Safetensors";
                         });

TEST(DownloadFormatTest, ATypeThatSafetensorsLacksIsRefusedByKey) {
  World world;
  ASSERT_OK_AND_ASSIGN(
      const SaveModelResult saved,
      world.Save({{"c.pt", MakeTorchFile(
                               {{"half", DType::kComplex32, {1}, "abcd"}})}}));
  const std::string handle = saved.checkpoint.name.ToString();
  const auto refused =
      Download::Open(world.context(), handle, FileFormat::kSafetensors, 0);
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kFailedPrecondition,
                                HasSubstr("half")));
  EXPECT_EQ(ReasonOf(refused.status()), "FORMAT_LACKS_DTYPE");
  EXPECT_OK(DownloadFrom(world, handle, FileFormat::kTorch, 0, 1000));
}

}  // namespace
}  // namespace warmstart::service
