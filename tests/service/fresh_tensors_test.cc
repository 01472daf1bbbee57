#include "server/service/fresh_tensors.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/torch/model_architecture.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

using Sources = std::vector<std::optional<LoadedTensor>>;

const backend::Device kCpu;

// Loads and commits; the checkpoint's handle.
absl::StatusOr<std::string> Load(World& world,
                                 const backend::ModelArchitecture& model,
                                 uint64_t seed, const Sources& sources) {
  const std::unique_ptr<store::Draft> draft = world.store().NewDraft();
  store::NewCheckpoint checkpoint;
  absl::StatusOr<Manifest> manifest =
      LoadModel(model, kCpu, seed, sources, world.store(), *draft);
  if (!manifest.ok()) return manifest.status();
  checkpoint.manifest = *std::move(manifest);
  absl::StatusOr<store::Checkpoint> stored = draft->Commit(checkpoint);
  if (!stored.ok()) return stored.status();
  return stored->name.ToString();
}

std::vector<Digest> DigestsOf(const Manifest& manifest) {
  std::vector<Digest> digests;
  for (const ManifestEntry& entry : manifest.entries) {
    digests.push_back(entry.digest);
  }
  return digests;
}

TEST(LoadModelTest, FreshValuesAreThoseOfTheSeed) {
  World world;
  const auto model = backend::MakeNetA();
  const Sources none(model->schema().entries.size());
  ASSERT_OK_AND_ASSIGN(const std::string a, Load(world, *model, 7, none));
  ASSERT_OK_AND_ASSIGN(const std::string b, Load(world, *model, 7, none));
  ASSERT_OK_AND_ASSIGN(const std::string c, Load(world, *model, 8, none));
  EXPECT_EQ(world.ManifestOf(a), world.ManifestOf(b));
  EXPECT_NE(DigestsOf(world.ManifestOf(a)), DigestsOf(world.ManifestOf(c)));

  // The values are what the model computes, and the digests theirs.
  const Manifest manifest = world.ManifestOf(a);
  const TensorSpec& spec = model->schema().entries[0].spec;
  std::string expected(spec.num_bytes(), '\0');
  backend::LoadEntry entry;
  entry.output = absl::MakeSpan(expected);
  ASSERT_OK(model->PartialLoad(kCpu, 7, {entry}));
  EXPECT_EQ(world.Values(a).at("conv1.weight"), expected);
  EXPECT_EQ(manifest.entries[0].digest, Digest::Of(expected));
  EXPECT_EQ(manifest.entries[0].spec, spec);
  EXPECT_EQ(manifest.module_versions, model->schema().modules);
  EXPECT_THAT(manifest.storages, IsEmpty());
}

TEST(LoadModelTest, WhatIsLoadedIsReferredToAndNotCopied) {
  World world;
  const std::string source = world.MustSave(MakeSafetensors(RecipeTensors()));
  const int64_t blobs = world.num_blobs();
  const auto model = backend::MakeNetB();
  const Manifest manifest = world.ManifestOf(source);
  Sources sources;
  for (const ManifestEntry& entry : manifest.entries) {
    sources.push_back(LoadedTensor{entry, entry.spec.dtype()});
  }
  ASSERT_OK_AND_ASSIGN(const std::string handle,
                       Load(world, *model, 1, sources));
  EXPECT_EQ(world.Values(handle), world.Values(source));
  EXPECT_EQ(world.num_blobs(), blobs);
}

TEST(LoadModelTest, WhatChangesItsTypeIsComputedAndStored) {
  World world;
  const std::string source = world.MustSave(MakeSafetensors(
      {{"w", DType::kFloat64, {3}, BytesOf<double>({0.5, -2, 1e300})}}));
  const auto model = backend::MakeSchemaArchitecture(
      MakeSchema("mine", {{"x", {3}}, {"fresh", {2}}}));
  const ManifestEntry entry = world.ManifestOf(source).entries[0];
  ASSERT_OK_AND_ASSIGN(
      const std::string cast,
      Load(world, *model, 1,
           {LoadedTensor{entry, DType::kFloat32}, std::nullopt}));
  EXPECT_EQ(world.Values(cast).at("x"),
            BytesOf<float>({0.5, -2, std::numeric_limits<float>::infinity()}));
  EXPECT_EQ(world.Values(cast).at("fresh"), BytesOf<float>({0, 0}));

  // Kept, it is only referred to.
  ASSERT_OK_AND_ASSIGN(
      const std::string kept,
      Load(world, *model, 1,
           {LoadedTensor{entry, DType::kFloat64}, std::nullopt}));
  EXPECT_EQ(world.ManifestOf(kept).entries[0].digest, entry.digest);
  EXPECT_EQ(world.ManifestOf(kept).entries[0].spec, entry.spec);
}

TEST(LoadModelTest, TensorsWithoutElementsAreMadeToo) {
  World world;
  const auto model = backend::MakeSchemaArchitecture(
      MakeSchema("mine", {{"none", {0, 3}}, {"one", {}}, {"end", {0}}}));
  ASSERT_OK_AND_ASSIGN(const std::string handle,
                       Load(world, *model, 1, Sources(3)));
  EXPECT_EQ(world.Values(handle).at("none"), "");
  EXPECT_EQ(world.Values(handle).at("one"), BytesOf<float>({0}));

  const auto empty =
      backend::MakeSchemaArchitecture(MakeSchema("empty", {{"none", {0}}}));
  EXPECT_OK(Load(world, *empty, 1, Sources(1)));
}

TEST(LoadModelTest, WhatFitsOnNoDiskIsRefusedAndLeavesNothing) {
  World world;
  const int64_t most = std::numeric_limits<int64_t>::max();
  const Architecture schemas[] = {
      // More than the disk has, more than a file may have.
      MakeSchema("a", {{"w", {int64_t{1} << 45}}}),
      MakeSchema("b", {{"w", {most / 4}}}),
      // Only with the gaps between them is it more than fits in 63 bits.
      MakeSchema("c", {{"v", {most / 2}, DType::kUint8},
                       {"w", {most / 2 + 1}, DType::kUint8}}),
      MakeSchema("d", {{"w", {most}, DType::kUint8}}),
  };
  for (const Architecture& schema : schemas) {
    const auto model = backend::MakeSchemaArchitecture(schema);
    const auto handle = Load(world, *model, 1, Sources(schema.entries.size()));
    EXPECT_THAT(handle, StatusIs(absl::StatusCode::kResourceExhausted))
        << schema.name;
    EXPECT_EQ(ReasonOf(handle.status()), "OUT_OF_SPACE") << schema.name;
    EXPECT_THAT(world.Staged(), IsEmpty());
  }
}

TEST(LoadModelTest, ASourceThatWasDeletedMeanwhileAborts) {
  World world;
  const std::string source =
      world.MustSave(MakeSafetensors({FloatTensor("w", {3})}));
  const ManifestEntry entry = world.ManifestOf(source).entries[0];
  ASSERT_OK(world.store().DeleteCheckpoint(
      CheckpointName::Parse(source).value(), false));
  const auto model =
      backend::MakeSchemaArchitecture(MakeSchema("mine", {{"w", {3}}}));
  // Noticed while it is cast, or at the commit.
  for (const DType dtype : {DType::kFloat16, DType::kFloat32}) {
    const auto handle = Load(world, *model, 1, {LoadedTensor{entry, dtype}});
    EXPECT_THAT(handle, StatusIs(absl::StatusCode::kAborted, HasSubstr("'w'")));
    EXPECT_EQ(ReasonOf(handle.status()), "SOURCE_DELETED");
  }
}

TEST(ResolveRequestDeviceTest, TheDefaultIsForRequestsThatNameNone) {
  ASSERT_OK_AND_ASSIGN(backend::Device device, ResolveRequestDevice("", "cpu"));
  EXPECT_EQ(device, kCpu);
  ASSERT_OK_AND_ASSIGN(device, ResolveRequestDevice("cpu", "cuda:63"));
  EXPECT_EQ(device, kCpu);
  EXPECT_OK(ResolveRequestDevice("auto", "cuda:63"));
}

TEST(ResolveRequestDeviceTest, ADeviceThatIsNotThereIsAFailedPrecondition) {
  for (const auto& [requested, standard] :
       {std::pair{"cuda:63", "cpu"}, std::pair{"", "cuda:63"}}) {
    const auto device = ResolveRequestDevice(requested, standard);
    EXPECT_THAT(device, StatusIs(absl::StatusCode::kFailedPrecondition));
    EXPECT_EQ(ReasonOf(device.status()), "DEVICE_UNAVAILABLE");
  }
}

TEST(ResolveRequestDeviceTest, WhatIsNoDeviceIsAnInvalidField) {
  const auto device = ResolveRequestDevice("tpu", "cpu");
  EXPECT_THAT(device, StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr("device: ")));
  EXPECT_EQ(FieldOf(device.status()), "device");
}

TEST(SeedOrRandomTest, AGivenSeedIsTaken) {
  EXPECT_EQ(SeedOrRandom(0), 0);
  EXPECT_EQ(SeedOrRandom(UINT64_MAX), UINT64_MAX);
}

TEST(SeedOrRandomTest, DrawnSeedsDifferAndAreExactInADouble) {
  const uint64_t a = SeedOrRandom(std::nullopt);
  const uint64_t b = SeedOrRandom(std::nullopt);
  EXPECT_NE(a, b);
  EXPECT_LT(a, uint64_t{1} << 53);
  EXPECT_LT(b, uint64_t{1} << 53);
}

}  // namespace
}  // namespace warmstart::service
