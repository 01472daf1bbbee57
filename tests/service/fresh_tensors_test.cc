#include "server/service/fresh_tensors.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
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

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::warmstart::testing::StatusIs;

using planner::Assignment;

const backend::Device kCpu;

// Loads and commits; the checkpoint's handle.
absl::StatusOr<std::string> Load(
    World& world, const backend::ModelArchitecture& model, uint64_t seed,
    const std::vector<Assignment>& assignments,
    const std::vector<const Manifest*>& sources = {},
    std::vector<backend::LoadCounts>* counts = nullptr,
    bool count_unchanged = false) {
  ModelLoad load;
  load.model = &model;
  load.device = kCpu;
  load.seed = seed;
  load.assignments = assignments;
  load.sources = sources;
  load.count_unchanged = count_unchanged;
  const std::unique_ptr<store::Draft> draft = world.store().NewDraft();
  absl::StatusOr<LoadedModel> loaded = LoadModel(load, world.store(), *draft);
  if (!loaded.ok()) return loaded.status();
  if (counts != nullptr) *counts = loaded->counts;
  store::NewCheckpoint checkpoint;
  checkpoint.manifest = std::move(loaded->manifest);
  absl::StatusOr<store::Checkpoint> stored = draft->Commit(checkpoint);
  if (!stored.ok()) return stored.status();
  return stored->name.ToString();
}

// Tensor `entry` of source 0, in its dtype or another.
Assignment From(const Manifest& source, int64_t entry,
                std::optional<DType> dtype = std::nullopt) {
  const TensorSpec& spec = source.entries[entry].spec;
  return {SourceTensor(0, entry, spec), dtype.value_or(spec.dtype()),
          std::nullopt};
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
  const std::vector<Assignment> none = FreshAssignments(model->schema());
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
  ASSERT_OK(model->PartialLoad(
      kCpu, 7, {entry}, [](const SourceOp&) { return backend::HostTensor(); }));
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
  std::vector<Assignment> assignments;
  for (size_t i = 0; i < manifest.entries.size(); ++i) {
    assignments.push_back(From(manifest, static_cast<int64_t>(i)));
  }
  ASSERT_OK_AND_ASSIGN(const std::string handle,
                       Load(world, *model, 1, assignments, {&manifest}));
  EXPECT_EQ(world.Values(handle), world.Values(source));
  EXPECT_EQ(world.num_blobs(), blobs);
}

TEST(LoadModelTest, WhatChangesItsTypeIsComputedAndStored) {
  World world;
  const std::string source = world.MustSave(MakeSafetensors(
      {{"w", DType::kFloat64, {3}, BytesOf<double>({0.5, -2, 1e300})}}));
  const auto model = backend::MakeSchemaArchitecture(
      MakeSchema("mine", {{"x", {3}}, {"fresh", {2}}}));
  const Manifest manifest = world.ManifestOf(source);
  const Assignment fresh{nullptr, DType::kFloat32, std::nullopt};
  std::vector<backend::LoadCounts> counts;
  ASSERT_OK_AND_ASSIGN(
      const std::string cast,
      Load(world, *model, 1, {From(manifest, 0, DType::kFloat32), fresh},
           {&manifest}, &counts));
  EXPECT_EQ(world.Values(cast).at("x"),
            BytesOf<float>({0.5, -2, std::numeric_limits<float>::infinity()}));
  EXPECT_EQ(world.Values(cast).at("fresh"), BytesOf<float>({0, 0}));
  EXPECT_THAT(counts,
              ElementsAre(backend::LoadCounts{1, 1, 0}, backend::LoadCounts{}));

  // Kept, it is only referred to.
  ASSERT_OK_AND_ASSIGN(
      const std::string kept,
      Load(world, *model, 1, {From(manifest, 0), fresh}, {&manifest}));
  EXPECT_EQ(world.ManifestOf(kept).entries[0].digest,
            manifest.entries[0].digest);
  EXPECT_EQ(world.ManifestOf(kept).entries[0].spec, manifest.entries[0].spec);
}

TEST(LoadModelTest, ComputedValuesComeFromSeveralSources) {
  World world;
  const Manifest a = world.ManifestOf(world.MustSave(MakeSafetensors(
      {{"w", DType::kFloat32, {2, 2}, BytesOf<float>({1, 2, 3, 4})}})));
  const Manifest b = world.ManifestOf(world.MustSave(MakeSafetensors(
      {{"v", DType::kFloat16, {2, 2}, std::string(8, '\0')},
       {"w", DType::kFloat32, {2, 2}, BytesOf<float>({5, 6, 7, 8})}})));
  const auto model = backend::MakeSchemaArchitecture(
      MakeSchema("mine", {{"mean", {2, 2}}, {"flat", {4}}, {"rows", {3, 2}}}));
  const DerivationPtr first = SourceTensor(0, 0, a.entries[0].spec);
  const DerivationPtr second = SourceTensor(1, 1, b.entries[1].spec);
  ASSERT_OK_AND_ASSIGN(
      const DerivationPtr mean,
      Derive(LinearCombinationOp{{0.5, 0.5}}, {first, second}));
  ASSERT_OK_AND_ASSIGN(const DerivationPtr flat,
                       Derive(ReshapeOp{Shape::Create({4}).value()}, {second}));
  ASSERT_OK_AND_ASSIGN(
      const DerivationPtr rows,
      Derive(OverwriteOp{{0, 0}},
             {FreshTensor(model->schema().entries[2].spec), first}));
  ASSERT_OK_AND_ASSIGN(const std::string handle,
                       Load(world, *model, 1,
                            {{mean, DType::kFloat32, std::nullopt},
                             {flat, DType::kFloat32, std::nullopt},
                             {rows, DType::kFloat32, ConstantInit{9}}},
                            {&a, &b}));
  const auto values = world.Values(handle);
  EXPECT_EQ(values.at("mean"), BytesOf<float>({3, 4, 5, 6}));
  EXPECT_EQ(values.at("flat"), BytesOf<float>({5, 6, 7, 8}));
  EXPECT_EQ(values.at("rows"), BytesOf<float>({1, 2, 3, 4, 9, 9}));
  // Of another shape, it is still the same bytes.
  EXPECT_EQ(world.ManifestOf(handle).entries[1].digest, b.entries[1].digest);
}

// What the planner makes of several checkpoints, in numbers that one can check
// by hand.
TEST(LoadModelTest, CombinationsOfCheckpointsAreRoundedOnce) {
  World world;
  const auto save = [&](const std::vector<float>& w,
                        DType dtype = DType::kFloat32) {
    std::string bytes = BytesOf<float>(w);
    if (dtype == DType::kFloat64) {
      bytes = BytesOf<double>(std::vector<double>(w.begin(), w.end()));
    }
    return world.ManifestOf(world.MustSave(MakeSafetensors(
        {{"w", dtype, {static_cast<int64_t>(w.size()) / 2, 2}, bytes}})));
  };
  const Manifest base = save({1, 0, 2, 4});
  const Manifest tuned = save({0, 1, 6, 4});
  const Manifest other = save({1, 2, 2, 0}, DType::kFloat64);
  const Manifest lora_a = save({1, 10});   // rank 1: [1, 2]
  const Manifest lora_b = save({0.5, 0});  // used as [2, 1]
  const std::vector<const Manifest*> sources = {&base, &tuned, &other, &lora_a,
                                                &lora_b};
  const auto leaf = [&](int32_t source) {
    return SourceTensor(source, 0, sources[source]->entries[0].spec);
  };
  const auto derive = [](TensorOp op, std::vector<DerivationPtr> operands) {
    return Derive(std::move(op), std::move(operands)).value();
  };
  const auto combine = [&](std::vector<double> weights,
                           std::vector<DerivationPtr> operands) {
    return derive(LinearCombinationOp{std::move(weights)}, std::move(operands));
  };
  const auto single = [&](DerivationPtr value) -> Assignment {
    if (value->spec.dtype() != DType::kFloat32) {
      value = derive(CastOp{DType::kFloat32}, {value});
    }
    return {std::move(value), DType::kFloat32, std::nullopt};
  };
  const DerivationPtr column =
      derive(ReshapeOp{Shape::Create({2, 1}).value()}, {leaf(4)});
  const std::vector<Assignment> assignments = {
      // A soup of three, in float64 since one of them is.
      single(combine({0.5, 0.25, 0.25}, {leaf(0), leaf(1), leaf(2)})),
      // Moving average, decay 0.75.
      single(combine({0.75 * 0.75, 0.75 * 0.25, 0.25},
                     {leaf(0), leaf(1), leaf(2)})),
      // Task arithmetic: base + 2 (tuned - base).
      single(combine({-1, 2}, {leaf(0), leaf(1)})),
      // base + 4 B A
      single(combine({1, 4}, {leaf(0), derive(MatMulOp{}, {column, leaf(3)})})),
      single(derive(SlerpOp{1}, {leaf(0), leaf(1)})),
  };
  const auto model =
      backend::MakeSchemaArchitecture(MakeSchema("mine", {{"soup", {2, 2}},
                                                          {"moving", {2, 2}},
                                                          {"task", {2, 2}},
                                                          {"lora", {2, 2}},
                                                          {"slerp", {2, 2}}}));
  ASSERT_OK_AND_ASSIGN(const std::string handle,
                       Load(world, *model, 1, assignments, sources));
  const auto values = world.Values(handle);
  EXPECT_EQ(values.at("soup"), BytesOf<float>({0.75, 0.75, 3, 3}));
  EXPECT_EQ(values.at("moving"), BytesOf<float>({0.8125, 0.6875, 2.75, 3}));
  EXPECT_EQ(values.at("task"), BytesOf<float>({-1, 2, 10, 4}));
  EXPECT_EQ(values.at("lora"), BytesOf<float>({3, 20, 2, 4}));
  const std::string slerp = values.at("slerp");
  const float expected[] = {0, 1, 6, 4};
  for (int i = 0; i < 4; ++i) {
    float value = 0;
    std::memcpy(&value, slerp.data() + i * sizeof(float), sizeof(float));
    EXPECT_NEAR(value, expected[i], 1e-6) << i;
  }
}

TEST(LoadModelTest, WhatIsUnchangedIsCountedWhereThatIsAsked) {
  World world;
  const Manifest source = world.ManifestOf(world.MustSave(MakeSafetensors(
      {{"w", DType::kFloat32, {2}, BytesOf<float>({1, std::nanf("")})}})));
  const auto model =
      backend::MakeSchemaArchitecture(MakeSchema("mine", {{"w", {2}}}));
  for (bool asked : {false, true}) {
    const std::vector<std::string> packs = world.Packs();
    std::vector<backend::LoadCounts> counts;
    ASSERT_OK(
        Load(world, *model, 1, {From(source, 0)}, {&source}, &counts, asked));
    EXPECT_THAT(counts, ElementsAre(backend::LoadCounts{asked ? 1 : 0, 0, 0}));
    EXPECT_EQ(world.Packs(), packs);
  }
}

TEST(LoadModelTest, TiedEntriesAreMadeOnceAndShareTheirStorage) {
  World world;
  Architecture schema =
      MakeSchema("mine", {{"embed", {3}}, {"other", {3}}, {"head", {3}}});
  for (ArchitectureEntry& entry : schema.entries) {
    entry.initializer = NormalInit{};
  }
  schema.entries[2].tied_to = "embed";
  const auto model = backend::MakeSchemaArchitecture(schema);
  ASSERT_OK_AND_ASSIGN(const std::string handle,
                       Load(world, *model, 1, FreshAssignments(schema)));
  const auto values = world.Values(handle);
  EXPECT_EQ(values.at("head"), values.at("embed"));
  EXPECT_NE(values.at("other"), values.at("embed"));
  const Manifest manifest = world.ManifestOf(handle);
  const StorageView whole{0, 0, {1}};
  EXPECT_EQ(manifest.entries[0].view, whole);
  EXPECT_EQ(manifest.entries[1].view, std::nullopt);
  EXPECT_EQ(manifest.entries[2].view, whole);
  EXPECT_THAT(manifest.storages,
              ElementsAre(SharedStorage{manifest.entries[0].digest, 12}));
}

TEST(LoadModelTest, TensorsWithoutElementsAreMadeToo) {
  World world;
  const auto model = backend::MakeSchemaArchitecture(
      MakeSchema("mine", {{"none", {0, 3}}, {"one", {}}, {"end", {0}}}));
  ASSERT_OK_AND_ASSIGN(
      const std::string handle,
      Load(world, *model, 1, FreshAssignments(model->schema())));
  EXPECT_EQ(world.Values(handle).at("none"), "");
  EXPECT_EQ(world.Values(handle).at("one"), BytesOf<float>({0}));

  const auto empty =
      backend::MakeSchemaArchitecture(MakeSchema("empty", {{"none", {0}}}));
  EXPECT_OK(Load(world, *empty, 1, FreshAssignments(empty->schema())));
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
    const auto handle = Load(world, *model, 1, FreshAssignments(schema));
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
  const Manifest manifest = world.ManifestOf(source);
  ASSERT_OK(world.store().DeleteCheckpoint(
      CheckpointName::Parse(source).value(), false));
  const auto model =
      backend::MakeSchemaArchitecture(MakeSchema("mine", {{"w", {3}}}));
  // Noticed while it is cast, or at the commit.
  for (const DType dtype : {DType::kFloat16, DType::kFloat32}) {
    const auto handle =
        Load(world, *model, 1, {From(manifest, 0, dtype)}, {&manifest});
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
