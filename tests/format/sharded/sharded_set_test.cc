#include "server/format/sharded/sharded_set.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/format/reader.h"
#include "server/format/writer.h"
#include "tests/format/sample_checkpoints.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

struct File {
  std::string name;
  std::string bytes;
};

absl::StatusOr<FileContents> Read(const std::vector<File>& files) {
  std::vector<FileView> views;
  for (const File& file : files) views.push_back({file.name, file.bytes});
  return ReadShardedSet(views);
}

// Tensors of two bytes, whose values follow from their keys.
SampleCheckpoint Sample(const std::vector<std::string>& keys) {
  SampleCheckpoint sample("");
  for (const std::string& key : keys) {
    sample.Add(key, DType::kUint8, {2}, key[0]);
  }
  return sample;
}

File Safetensors(std::string name, const std::vector<std::string>& keys) {
  const SampleCheckpoint sample = Sample(keys);
  return {std::move(name),
          sample.Assemble(*LayoutSafetensorsFile(sample.manifest()))};
}

std::string TorchBytes(const SampleCheckpoint& sample) {
  return sample.Assemble(
      *LayoutTorchFile(sample.manifest(), [&](const Digest& digest) {
        return absl::StatusOr<uint32_t>(sample.Crc32(digest));
      }));
}

File Torch(std::string name, const std::vector<std::string>& keys) {
  return {std::move(name), TorchBytes(Sample(keys))};
}

File Index(absl::string_view weight_map, absl::string_view metadata = "{}") {
  return {"model.index.json",
          absl::StrCat("{\"metadata\": ", metadata,
                       ", \"weight_map\": ", weight_map, "}")};
}

std::vector<std::string> Keys(const FileContents& contents) {
  std::vector<std::string> keys;
  for (const FileTensor& tensor : contents.tensors) keys.push_back(tensor.key);
  return keys;
}

// "file:key" for each tensor, by the file that its storage is in.
std::vector<std::string> Places(const FileContents& contents) {
  std::vector<std::string> places;
  for (const FileTensor& tensor : contents.tensors) {
    places.push_back(
        absl::StrCat(contents.storages[tensor.storage].file, ":", tensor.key));
  }
  return places;
}

TEST(ShardedSetTest, ShardsWithoutIndexAreJoinedInTheOrderGiven) {
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read({Safetensors("2", {"c", "d"}), Safetensors("1", {"b", "a"})}));
  EXPECT_EQ(contents.format, "safetensors");
  EXPECT_THAT(Places(contents), ElementsAre("0:c", "0:d", "1:b", "1:a"));
  EXPECT_EQ(contents.metadata_json, R"({"format":"pt"})");
}

TEST(ShardedSetTest, ValuesAreThoseOfTheShards) {
  const std::vector<File> files = {Torch("1", {"a", "b"}), Torch("2", {"c"})};
  const std::vector<FileView> views = {{"1", files[0].bytes},
                                       {"2", files[1].bytes}};
  ASSERT_OK_AND_ASSIGN(const FileContents contents, ReadShardedSet(views));
  const SampleCheckpoint all = Sample({"a", "b", "c"});
  ASSERT_THAT(contents.tensors, SizeIs(3));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(
        StorageBytes(views, contents.storages[contents.tensors[i].storage]),
        all.Blob(all.manifest().entries[i].digest));
  }
}

TEST(ShardedSetTest, IndexDecidesWhichShardComesFirst) {
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read({Safetensors("1", {"b", "a"}),
            Index(R"({"c": "2", "a": "1", "b": "1", "d": "2"})",
                  R"({"total_size": 8, "format": "index"})"),
            Safetensors("2", {"d", "c"})}));
  EXPECT_THAT(Places(contents), ElementsAre("2:d", "2:c", "0:b", "0:a"));
  EXPECT_THAT(contents.skipped, IsEmpty());
  EXPECT_EQ(contents.metadata_json, R"({"format":"index","total_size":8})");
}

TEST(ShardedSetTest, KeyThatTheIndexLacksIsSkippedAndItsStorageLeftOut) {
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read({Safetensors("1", {"x", "a"}), Index(R"({"a": "1"})")}));
  EXPECT_THAT(Keys(contents), ElementsAre("a"));
  EXPECT_THAT(contents.storages, SizeIs(1));
  ASSERT_THAT(contents.skipped, SizeIs(1));
  EXPECT_EQ(contents.skipped[0].path, "x");
  EXPECT_EQ(contents.skipped[0].reason, "not in the index's weight_map");
}

TEST(ShardedSetTest, SharedStoragesStayShared) {
  SampleCheckpoint sample("");
  const int storage = sample.AddStorage(16, 1);
  sample.AddView("a", DType::kFloat32, {4}, {storage, 0, {1}});
  sample.AddView("b", DType::kFloat32, {2}, {storage, 2, {1}});
  ASSERT_OK_AND_ASSIGN(const FileContents contents,
                       Read({Torch("1", {"x"}), {"2", TorchBytes(sample)}}));
  ASSERT_THAT(contents.tensors, SizeIs(3));
  EXPECT_THAT(contents.storages, SizeIs(2));
  EXPECT_EQ(contents.tensors[1].storage, contents.tensors[2].storage);
  EXPECT_EQ(contents.storages[contents.tensors[1].storage].file, 1);
}

TEST(ShardedSetTest, ModuleVersionsAreJoinedAndTheFirstWins) {
  SampleCheckpoint first = Sample({"a"});
  first.AddModule("", 1);
  first.AddModule("norm", 2);
  SampleCheckpoint second = Sample({"b"});
  second.AddModule("norm", 3);
  second.AddModule("fc", 1);
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read({{"1", TorchBytes(first)}, {"2", TorchBytes(second)}}));
  EXPECT_THAT(contents.module_versions,
              ElementsAre(ModuleVersion{"", 1}, ModuleVersion{"norm", 2},
                          ModuleVersion{"fc", 1}));
}

TEST(ShardedSetTest, ValueThatHadToBeSkippedIsNotMissing) {
  std::string header =
      R"({"q": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}})";
  std::string length(8, '\0');
  length[0] = static_cast<char>(header.size());
  ASSERT_OK_AND_ASSIGN(const FileContents contents,
                       Read({Safetensors("1", {"a"}),
                             {"2", length + header + "x"},
                             Index(R"({"a": "1", "q": "2"})")}));
  EXPECT_THAT(Keys(contents), ElementsAre("a"));
  ASSERT_THAT(contents.skipped, SizeIs(1));
  EXPECT_EQ(contents.skipped[0].path, "q");
}

TEST(ShardedSetTest, ShardWithoutTensorsIsFine) {
  ASSERT_OK_AND_ASSIGN(const FileContents contents,
                       Read({Safetensors("1", {}), Safetensors("2", {"a"})}));
  EXPECT_THAT(Places(contents), ElementsAre("1:a"));
}

TEST(ShardedSetTest, KeyInTwoShardsIsRefused) {
  EXPECT_THAT(Read({Safetensors("1", {"a"}), Safetensors("2", {"b", "a"})}),
              StatusIs(kInvalid, "key 'a' is in two shards, '1' and '2'"));
  EXPECT_THAT(Read({Safetensors("1", {"a"}), Safetensors("2", {"b", "a"}),
                    Index(R"({"a": "1", "b": "2"})")}),
              StatusIs(kInvalid,
                       "key 'a' is in shard '2', but the index says that it "
                       "is in '1'"));
}

TEST(ShardedSetTest, KeyThatIsNotInItsShardIsRefused) {
  EXPECT_THAT(
      Read({Safetensors("1", {"a"}),
            Index(R"({"z": "1", "a": "1", "m": "1"})")}),
      StatusIs(kInvalid,
               "key 'm' is not in shard '1', which the index names for it"));
}

TEST(ShardedSetTest, MissingShardIsRefused) {
  EXPECT_THAT(
      Read({Safetensors("1", {"a"}), Index(R"({"a": "1", "b": "2"})")}),
      StatusIs(kInvalid, "shard '2', which the index names, was not uploaded"));
}

TEST(ShardedSetTest, FileThatTheIndexDoesNotNameIsRefused) {
  EXPECT_THAT(Read({Safetensors("1", {"a"}), Safetensors("2", {"b"}),
                    Index(R"({"a": "1"})")}),
              StatusIs(kInvalid, "file '2' is not named by the index"));
}

TEST(ShardedSetTest, FilesOfTheSameNameAreRefused) {
  EXPECT_THAT(Read({Safetensors("1", {"a"}), Safetensors("1", {"b"})}),
              StatusIs(kInvalid, "two files are named '1'"));
}

TEST(ShardedSetTest, TwoIndexesAreRefused) {
  File other = Index(R"({"a": "1"})");
  other.name = "other.json";
  EXPECT_THAT(
      Read({Index(R"({"a": "1"})"), other}),
      StatusIs(kInvalid,
               "two files are an index: 'model.index.json' and 'other.json'"));
}

TEST(ShardedSetTest, IndexThatNamesItselfIsRefused) {
  EXPECT_THAT(
      Read({Index(R"({"a": "model.index.json"})"), Safetensors("1", {"a"})}),
      StatusIs(kInvalid, HasSubstr("names itself")));
}

TEST(ShardedSetTest, MalformedIndexIsRefusedWithItsName) {
  EXPECT_THAT(
      Read({Index("[]"), Safetensors("1", {"a"})}),
      StatusIs(kInvalid, "'model.index.json': weight_map is not an object"));
}

TEST(ShardedSetTest, MalformedShardIsRefusedWithItsName) {
  File broken = Safetensors("broken", {"b"});
  broken.bytes.pop_back();
  EXPECT_THAT(Read({Safetensors("1", {"a"}), broken}),
              StatusIs(kInvalid, AllOf(HasSubstr("'broken': "),
                                       HasSubstr("past the end"))));
}

TEST(ShardedSetTest, ShardsOfDifferentFormatsAreRefused) {
  EXPECT_THAT(Read({Safetensors("1", {"a"}), Torch("2", {"b"})}),
              StatusIs(kInvalid,
                       "the shards are of different formats: '1' is "
                       "safetensors, '2' is torch-zip"));
}

}  // namespace
}  // namespace warmstart::format
