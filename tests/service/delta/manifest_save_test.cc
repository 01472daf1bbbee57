// Saves by manifest, from the manifest to what is in the store.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "server/service/origin.h"
#include "server/service/save_model.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/faulty_file_system.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::FaultyFileSystem;
using ::warmstart::testing::StatusIs;

// Whose blobs together are too large for the catalog.
constexpr int64_t kManyBytes = 256 * 1024;

TensorSpec SpecOf(std::vector<int64_t> sizes) {
  return TensorSpec::Create(DType::kFloat32,
                            Shape::Create(std::move(sizes)).value())
      .value();
}

ManifestEntry EntryOf(const Tensor& tensor) {
  ManifestEntry entry;
  entry.key = tensor.key;
  entry.spec = SpecOf(tensor.sizes);
  entry.digest = Digest::Of(tensor.bytes);
  return entry;
}

Manifest ManifestOf(const std::vector<Tensor>& tensors) {
  Manifest manifest;
  for (const Tensor& tensor : tensors) {
    manifest.entries.push_back(EntryOf(tensor));
  }
  return manifest;
}

// A file that brings these, named by their digests.
std::string Bringing(const std::vector<std::string>& blobs) {
  std::vector<Tensor> tensors;
  for (const std::string& bytes : blobs) {
    tensors.push_back({Digest::Of(bytes).ToHex(),
                       DType::kUint8,
                       {static_cast<int64_t>(bytes.size())},
                       bytes});
  }
  return MakeSafetensors(tensors);
}

absl::StatusOr<SaveModelResult> SaveManifest(World& world, Manifest manifest,
                                             const std::string& file = "",
                                             SaveModelRequest request = {}) {
  absl::StatusOr<std::unique_ptr<SaveModel>> save =
      SaveModel::Begin(world.context(), std::move(request));
  if (!save.ok()) return save.status();
  absl::Status status = (*save)->AddManifest(std::move(manifest));
  if (!file.empty()) {
    status.Update((*save)->BeginFile("delta.safetensors", file.size()));
    status.Update((*save)->Append(file));
  }
  if (!status.ok()) return status;
  return (*save)->Finish();
}

UploadOrigin OriginOf(const SaveModelResult& result) {
  return std::get<UploadOrigin>(
      OriginFromJson(result.checkpoint.origin_json).value());
}

std::string Metadata(const absl::Status& status, const std::string& key) {
  const std::optional<ErrorInfo> info = GetErrorInfo(status);
  return info.has_value() && info->metadata.count(key) > 0
             ? info->metadata.at(key)
             : "";
}

TEST(ManifestSaveTest, OnlyWhatIsNewIsSent) {
  World world;
  const std::vector<Tensor> tensors = {FloatTensor("a", {100, 1000}),
                                       FloatTensor("b", {30})};
  world.MustSave(MakeSafetensors(tensors));
  const size_t packs = world.Packs().size();
  std::vector<Tensor> tuned = tensors;
  tuned[1] = FloatTensor("b", {30}, /*seed=*/1);
  ASSERT_OK_AND_ASSIGN(
      const SaveModelResult result,
      SaveManifest(world, ManifestOf(tuned), Bringing({tuned[1].bytes})));
  const auto values = world.Values(result.checkpoint.name.ToString());
  EXPECT_EQ(values.at("a"), tuned[0].bytes);
  EXPECT_EQ(values.at("b"), tuned[1].bytes);
  EXPECT_THAT(world.Packs(), SizeIs(packs));
  EXPECT_EQ(OriginOf(result).delta, (DeltaOrigin{1, 120}));
  EXPECT_EQ(OriginOf(result).format, "safetensors");
  EXPECT_THAT(world.Staged(), IsEmpty());
}

TEST(ManifestSaveTest, WhereNothingIsNewNoFileIsNeeded) {
  World world;
  const std::vector<Tensor> tensors = RecipeTensors();
  const std::string first = world.MustSave(MakeSafetensors(tensors));
  ASSERT_OK_AND_ASSIGN(const SaveModelResult result,
                       SaveManifest(world, world.ManifestOf(first)));
  EXPECT_EQ(world.ManifestOf(result.checkpoint.name.ToString()),
            world.ManifestOf(first));
  EXPECT_EQ(OriginOf(result).delta, (DeltaOrigin{0, 0}));
  EXPECT_THAT(OriginOf(result).files, IsEmpty());
}

TEST(ManifestSaveTest, PartsFollowEachOther) {
  World world;
  const std::vector<Tensor> tensors = {FloatTensor("m.a", {3}),
                                       FloatTensor("m.b", {4})};
  ASSERT_OK_AND_ASSIGN(const auto save, SaveModel::Begin(world.context(), {}));
  Manifest first;
  first.subtrees = {"m"};
  first.metadata_json = R"({"epoch":)";
  first.entries = {EntryOf(tensors[0])};
  Manifest second;
  second.entries = {EntryOf(tensors[1])};
  second.metadata_json = "3}";
  ASSERT_OK(save->AddManifest(first));
  ASSERT_OK(save->AddManifest(second));
  const std::string file = Bringing({tensors[0].bytes, tensors[1].bytes});
  ASSERT_OK(save->BeginFile("x", std::nullopt));
  ASSERT_OK(save->Append(file));
  ASSERT_OK_AND_ASSIGN(const SaveModelResult result, save->Finish());
  const Manifest manifest = world.ManifestOf(result.checkpoint.name.ToString());
  ASSERT_THAT(manifest.entries, SizeIs(2));
  EXPECT_EQ(manifest.entries[1].key, "m.b");
  EXPECT_EQ(manifest.metadata_json, R"({"epoch":3})");
}

TEST(ManifestSaveTest, WhatIsMissingIsNamed) {
  World world;
  const std::vector<Tensor> tensors = {
      FloatTensor("a", {3}), FloatTensor("b", {4}), FloatTensor("c", {5})};
  const absl::Status status =
      SaveManifest(world, ManifestOf(tensors), Bringing({tensors[0].bytes}))
          .status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition,
                               HasSubstr("2 tensors")));
  EXPECT_EQ(ReasonOf(status), reason::kTensorsMissing);
  EXPECT_EQ(Metadata(status, "count"), "2");
  EXPECT_EQ(Metadata(status, "key"), "b");
  EXPECT_EQ(Metadata(status, "digest"), Digest::Of(tensors[1].bytes).ToHex());
  EXPECT_EQ(world.num_checkpoints(), 0);
  EXPECT_THAT(world.Staged(), IsEmpty());
}

// A digest is worth nothing to whoever has not its bytes.
TEST(ManifestSaveTest, BytesCountByTheirOwnDigest) {
  World world;
  const Tensor tensor = FloatTensor("a", {3});
  const std::string lie = MakeSafetensors({{Digest::Of(tensor.bytes).ToHex(),
                                            DType::kUint8,
                                            {12},
                                            std::string(12, 'x')}});
  EXPECT_EQ(ReasonOf(SaveManifest(world, ManifestOf({tensor}), lie).status()),
            reason::kTensorsMissing);
}

TEST(ManifestSaveTest, ATensorHasTheSizeOfItsBlob) {
  World world;
  const Tensor tensor = FloatTensor("a", {4});
  world.MustSave(MakeSafetensors({tensor}));
  Manifest manifest = ManifestOf({tensor});
  manifest.entries[0].spec = SpecOf({5});
  const absl::Status status = SaveManifest(world, manifest).status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr("20 bytes")));
  EXPECT_EQ(FieldOf(status), "manifest");
}

// Views: of a storage of `count` numbers that are `seed` apart.
struct Views {
  explicit Views(int64_t count, float seed = 1) {
    std::vector<float> numbers(count);
    for (int64_t i = 0; i < count; ++i)
      numbers[i] = static_cast<float>(i) * seed;
    storage = BytesOf(numbers);
    manifest.storages = {{Digest::Of(storage), count * 4}};
    Add("whole", {count}, 0, {1}, storage);
    Add("middle", {count / 2}, count / 4, {1},
        storage.substr(count, count * 2));
    std::vector<float> even;
    for (int64_t i = 0; i < count; i += 2) even.push_back(numbers[i]);
    Add("even", {count / 2}, 0, {2}, BytesOf(even));
  }

  void Add(const std::string& key, std::vector<int64_t> sizes, int64_t offset,
           std::vector<int64_t> strides, const std::string& values) {
    ManifestEntry entry;
    entry.key = key;
    entry.spec = SpecOf(std::move(sizes));
    entry.digest = Digest::Of(values);
    entry.view = StorageView{0, offset, std::move(strides)};
    manifest.entries.push_back(std::move(entry));
    wanted[key] = values;
  }

  std::string storage;
  Manifest manifest;
  std::map<std::string, std::string> wanted;
};

TEST(ManifestSaveTest, ViewsComeWithTheirStorage) {
  for (const int64_t count : {64, 64 * 1024}) {
    World world;
    const Views views(count);
    ASSERT_OK_AND_ASSIGN(
        const SaveModelResult result,
        SaveManifest(world, views.manifest, Bringing({views.storage})));
    const std::string handle = result.checkpoint.name.ToString();
    EXPECT_EQ(world.Values(handle), views.wanted);
    EXPECT_EQ(world.ManifestOf(handle), views.manifest);
    EXPECT_EQ(OriginOf(result).delta, (DeltaOrigin{1, count * 4}));
    EXPECT_THAT(world.Staged(), IsEmpty());
    world.Restart();
    EXPECT_EQ(world.Values(handle), views.wanted);
  }
}

TEST(ManifestSaveTest, ViewsOfAStorageThatIsThereAreLaidOutAnew) {
  for (const int64_t count : {64, 64 * 1024}) {
    World world;
    const Views views(count);
    world.MustSave(
        MakeSafetensors({{"s", DType::kFloat32, {count}, views.storage}}));
    ASSERT_OK_AND_ASSIGN(const SaveModelResult result,
                         SaveManifest(world, views.manifest));
    const std::string handle = result.checkpoint.name.ToString();
    EXPECT_EQ(world.Values(handle), views.wanted);
    EXPECT_EQ(OriginOf(result).delta, (DeltaOrigin{0, 0}));
    world.Restart();
    EXPECT_EQ(world.Values(handle), views.wanted);
  }
}

TEST(ManifestSaveTest, AViewHoldsWhatItsDigestSays) {
  World world;
  Views views(64);
  // Of bytes that the store has, so that they are not missing.
  const Tensor other = FloatTensor("o", {32});
  world.MustSave(MakeSafetensors({other}));
  for (const size_t entry : {0, 1, 2}) {
    Manifest manifest = views.manifest;
    manifest.entries[entry].digest = Digest::Of(other.bytes);
    const absl::Status status =
        SaveManifest(world, manifest, Bringing({views.storage})).status();
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                                 HasSubstr(manifest.entries[entry].key)));
    EXPECT_EQ(FieldOf(status), "manifest");
  }
  EXPECT_EQ(world.num_checkpoints(), 1);
}

TEST(ManifestSaveTest, AStorageHasTheSizeThatItSays) {
  World world;
  Views views(64);
  views.manifest.storages[0].num_bytes = 512;
  EXPECT_THAT(
      SaveManifest(world, views.manifest, Bringing({views.storage})).status(),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("512 bytes")));
}

TEST(ManifestSaveTest, AMissingStorageIsMissingOnce) {
  World world;
  const absl::Status status = SaveManifest(world, Views(64).manifest).status();
  EXPECT_EQ(ReasonOf(status), reason::kTensorsMissing);
  EXPECT_EQ(Metadata(status, "count"), "1");
  EXPECT_EQ(Metadata(status, "key"), "whole");
}

TEST(ManifestSaveTest, ItIsTheSameAsAFileOfAll) {
  World world;
  const std::vector<Tensor> tensors = RecipeTensors();
  const std::string file = MakeTorchFile(tensors);
  ASSERT_OK_AND_ASSIGN(const SaveModelResult by_file,
                       world.Save({{"a.pt", file}}));
  const Manifest manifest =
      world.ManifestOf(by_file.checkpoint.name.ToString());
  ASSERT_OK(world.store().DeleteCheckpoint(by_file.checkpoint.name, false));
  std::vector<std::string> blobs;
  for (const Tensor& tensor : tensors) blobs.push_back(tensor.bytes);
  ASSERT_OK_AND_ASSIGN(const SaveModelResult by_manifest,
                       SaveManifest(world, manifest, Bringing(blobs)));
  EXPECT_EQ(world.ManifestOf(by_manifest.checkpoint.name.ToString()), manifest);
  EXPECT_EQ(by_manifest.checkpoint.num_bytes, by_file.checkpoint.num_bytes);
}

TEST(ManifestSaveTest, AManifestComesBeforeTheFiles) {
  World world;
  ASSERT_OK_AND_ASSIGN(const auto save, SaveModel::Begin(world.context(), {}));
  ASSERT_OK(save->BeginFile("x", std::nullopt));
  EXPECT_EQ(FieldOf(save->AddManifest({})), "manifest");
}

TEST(ManifestSaveTest, AManifestHasALimit) {
  World world;
  ASSERT_OK_AND_ASSIGN(const auto save, SaveModel::Begin(world.context(), {}));
  Manifest half;
  half.module_versions.resize(size_t{1} << 19);
  EXPECT_OK(save->AddManifest(half));
  EXPECT_OK(save->AddManifest(half));
  half.module_versions.resize(1);
  EXPECT_EQ(FieldOf(save->AddManifest(half)), "manifest");
}

TEST(ManifestSaveTest, AManifestIsNoRequestForAFreshModel) {
  World world;
  SaveModelRequest request;
  request.architecture = "NetA";
  EXPECT_EQ(FieldOf(SaveManifest(world, {}, "", request).status()), "manifest");
  EXPECT_EQ(world.num_checkpoints(), 0);
}

// Wherever the disk is full, the save leaves nothing, and goes on once it is
// not.
TEST(ManifestSaveTest, AFullDiskLeavesNothing) {
  const Views views(kManyBytes / 4);
  const std::string all = MakeSafetensors(
      {{"s", DType::kFloat32, {kManyBytes / 4}, views.storage}});
  FaultyFileSystem disk(PosixFileSystem());
  bool has_struck = true;
  for (int step = 0; has_struck; ++step) {
    World world(disk);
    world.MustSave(all);
    const std::vector<std::string> packs = world.Packs();
    disk.FailAt(step, absl::ResourceExhaustedError("full"));
    const absl::StatusOr<SaveModelResult> result =
        SaveManifest(world, views.manifest);
    has_struck = disk.has_struck();
    disk.Heal();
    if (!result.ok()) {
      // The storage is read before anything is written.
      EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted)
          << step << ": " << result.status();
      EXPECT_EQ(world.Packs(), packs) << step;
      EXPECT_THAT(world.Staged(), IsEmpty()) << step;
    }
    ASSERT_OK_AND_ASSIGN(const SaveModelResult again,
                         SaveManifest(world, views.manifest));
    EXPECT_EQ(world.Values(again.checkpoint.name.ToString()), views.wanted);
  }
}

}  // namespace
}  // namespace warmstart::service
