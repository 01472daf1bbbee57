// What a warm start does with values: it counts and refuses them, ties them,
// and leaves them alone in a dry run.

#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/service/download.h"
#include "server/service/warm_start.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

class WarmStartValuesTest : public ::testing::Test {
 protected:
  WarmStartRequest RequestFor(const std::string& architecture,
                              const std::string& handle) {
    WarmStartRequest request;
    request.architecture = architecture;
    request.sources = {{handle, ""}};
    request.seed = 7;
    return request;
  }
  absl::StatusOr<WarmStartResult> Run(const WarmStartRequest& request) {
    return WarmStart(world_.context(), request);
  }
  std::string HandleOf(const WarmStartResult& result) {
    return result.checkpoint.value().name.ToString();
  }
  std::string DownloadTorch(const std::string& handle) {
    const auto download =
        Download::Open(world_.context(), handle, FileFormat::kTorch, 0);
    std::string file;
    EXPECT_OK(download);
    if (download.ok()) {
      EXPECT_OK((*download)->Read((*download)->file_size(), &file));
    }
    return file;
  }
  void Register(const Architecture& architecture) {
    ASSERT_OK(world_.architectures().Register(architecture));
  }
  // An embedding, a layer and a head that is tied to the embedding.
  void RegisterTied() {
    Architecture schema = MakeSchema(
        "tied", {{"embed", {4, 2}}, {"layer", {2}}, {"head", {4, 2}}});
    for (ArchitectureEntry& entry : schema.entries) {
      entry.initializer = NormalInit{};
    }
    schema.entries[2].tied_to = "embed";
    Register(schema);
  }
  // That both are one tensor, in the catalog and in a file that is written and
  // read again.
  void ExpectTied(const std::string& handle) {
    const std::string again = world_.Save({{"model.pt", DownloadTorch(handle)}})
                                  .value()
                                  .checkpoint.name.ToString();
    EXPECT_EQ(world_.Values(again), world_.Values(handle));
    for (const std::string& checkpoint : {handle, again}) {
      const Manifest manifest = world_.ManifestOf(checkpoint);
      ASSERT_THAT(manifest.entries, SizeIs(3));
      EXPECT_TRUE(manifest.entries[0].view.has_value());
      EXPECT_EQ(manifest.entries[0].view, manifest.entries[2].view);
      EXPECT_FALSE(manifest.entries[1].view.has_value());
      EXPECT_THAT(manifest.storages, SizeIs(1));
    }
  }

  World world_;
};

TEST_F(WarmStartValuesTest, ValuesThatAreNotFiniteAreRefusedWithTheReport) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::string source = world_.MustSave(MakeSafetensors(
      {{"good", DType::kFloat32, {2}, BytesOf<float>({1, 2})},
       {"bad", DType::kFloat32, {2}, BytesOf<float>({std::nanf(""), 2})},
       {"worse", DType::kFloat32, {2}, BytesOf<float>({-infinity, infinity})},
       {"unused", DType::kFloat32, {1}, BytesOf<float>({infinity})}}));
  Register(MakeSchema(
      "mine", {{"good", {2}}, {"bad", {2}}, {"worse", {2}}, {"fresh", {1}}}));
  WarmStartRequest request = RequestFor("mine", source);
  request.refuse_non_finite = true;
  request.options.request_id = "id";
  request.options.alias = "x";
  const size_t checkpoints = world_.num_checkpoints();
  const std::vector<std::string> packs = world_.Packs();
  ASSERT_OK_AND_ASSIGN(const WarmStartResult refused, Run(request));
  EXPECT_THAT(
      refused.verdict,
      StatusIs(absl::StatusCode::kFailedPrecondition,
               "3 values of 2 tensors to be loaded are NaN or infinite: bad "
               "(1), worse (2)"));
  EXPECT_EQ(ReasonOf(refused.verdict), "NON_FINITE_VALUES");
  EXPECT_FALSE(refused.checkpoint.has_value());
  EXPECT_THAT(refused.report.entries, SizeIs(4));
  EXPECT_EQ(world_.num_checkpoints(), checkpoints);
  EXPECT_EQ(world_.Packs(), packs);
  EXPECT_THAT(world_.Staged(), IsEmpty());
  EXPECT_THAT(world_.store().Resolve("aliases/x"),
              StatusIs(absl::StatusCode::kNotFound));

  // What is left out does not matter, and the id was not used up.
  request.exclude = {"bad", "worse"};
  ASSERT_OK_AND_ASSIGN(const WarmStartResult result, Run(request));
  EXPECT_OK(result.verdict);
  EXPECT_TRUE(result.checkpoint.has_value());
}

TEST_F(WarmStartValuesTest, WhatACastMakesInfiniteIsRefusedToo) {
  const std::string source = world_.MustSave(
      MakeSafetensors({{"w", DType::kFloat32, {2}, BytesOf<float>({1, 1e6})}}));
  Register(MakeSchema("halves", {{"w", {2}, DType::kFloat16}}));
  WarmStartRequest request = RequestFor("halves", source);
  request.refuse_non_finite = true;
  ASSERT_OK_AND_ASSIGN(const WarmStartResult refused, Run(request));
  EXPECT_EQ(ReasonOf(refused.verdict), "NON_FINITE_VALUES");
  EXPECT_EQ(refused.report.entries[0].counts, (ValueCounts{1, 0}));
}

TEST_F(WarmStartValuesTest, WhatCastsDidIsInTheReportThatIsStored) {
  const std::string source = world_.MustSave(MakeSafetensors(
      {{"w", DType::kFloat32, {4}, BytesOf<float>({1, 1e6, 1e-9, 0})},
       {"b", DType::kFloat16, {1}, std::string("\x00\x3c", 2)}}));
  Register(MakeSchema(
      "halves", {{"w", {4}, DType::kFloat16}, {"b", {1}, DType::kFloat16}}));
  ASSERT_OK_AND_ASSIGN(const WarmStartResult result,
                       Run(RequestFor("halves", source)));
  EXPECT_EQ(result.report.entries[0].counts, (ValueCounts{1, 1}));
  EXPECT_EQ(result.report.entries[1].counts, ValueCounts());
  ASSERT_OK_AND_ASSIGN(const MatchReport stored,
                       MatchReportFromJson(result.checkpoint->report_json));
  EXPECT_EQ(stored, result.report);
  EXPECT_THAT(stored.notes,
              ::testing::IsSupersetOf(
                  {HasSubstr("beyond the range"), HasSubstr("became zero")}));
}

TEST_F(WarmStartValuesTest, ADryRunSaysAllButTheCounts) {
  const std::string source = world_.MustSave(MakeSafetensors(
      {{"w", DType::kFloat32, {3}, BytesOf<float>({1, 1e6, std::nanf("")})},
       {"other", DType::kFloat32, {1}, BytesOf<float>({1})}}));
  Register(MakeSchema("halves", {{"w", {3}, DType::kFloat16}, {"fresh", {1}}}));
  WarmStartRequest request = RequestFor("halves", source);
  ASSERT_OK_AND_ASSIGN(WarmStartResult wet, Run(request));
  request.validate_only = true;
  request.refuse_non_finite = true;
  ASSERT_OK_AND_ASSIGN(const WarmStartResult dry, Run(request));
  EXPECT_OK(dry.verdict);
  ASSERT_EQ(wet.report.entries[0].counts, (ValueCounts{1, 0}));
  wet.report.entries[0].counts = {};
  ASSERT_EQ(wet.report.notes.size(), dry.report.notes.size() + 1);
  wet.report.notes.pop_back();
  EXPECT_EQ(wet.report, dry.report);
}

TEST_F(WarmStartValuesTest, AFreshModelOfATiedArchitectureIsTied) {
  RegisterTied();
  SaveModelRequest request;
  request.architecture = "tied";
  request.seed = 1;
  ASSERT_OK_AND_ASSIGN(const SaveModelResult saved, world_.Save({}, request));
  ExpectTied(saved.checkpoint.name.ToString());
}

TEST_F(WarmStartValuesTest, TiesOutliveAWarmStart) {
  RegisterTied();
  SaveModelRequest fresh;
  fresh.architecture = "tied";
  fresh.seed = 1;
  ASSERT_OK_AND_ASSIGN(const SaveModelResult saved, world_.Save({}, fresh));
  const std::string source = saved.checkpoint.name.ToString();
  ASSERT_OK_AND_ASSIGN(const WarmStartResult result,
                       Run(RequestFor("tied", source)));
  EXPECT_EQ(world_.Values(HandleOf(result)), world_.Values(source));
  ExpectTied(HandleOf(result));

  // Where nothing but the layer is loaded, the rest is initialised once.
  WarmStartRequest request = RequestFor("tied", source);
  request.include = {"layer"};
  ASSERT_OK_AND_ASSIGN(const WarmStartResult partial, Run(request));
  const auto values = world_.Values(HandleOf(partial));
  EXPECT_EQ(values.at("head"), values.at("embed"));
  EXPECT_NE(values.at("head"), world_.Values(source).at("head"));
  ExpectTied(HandleOf(partial));
}

// The source ties what the target knows nothing of.
TEST_F(WarmStartValuesTest, TensorsThatTheSourceTiesStayTied) {
  RegisterTied();
  SaveModelRequest fresh;
  fresh.architecture = "tied";
  ASSERT_OK_AND_ASSIGN(const SaveModelResult saved, world_.Save({}, fresh));
  Register(MakeSchema("plain",
                      {{"embed", {4, 2}}, {"layer", {2}}, {"head", {4, 2}}}));
  ASSERT_OK_AND_ASSIGN(
      const WarmStartResult result,
      Run(RequestFor("plain", saved.checkpoint.name.ToString())));
  ExpectTied(HandleOf(result));
}

// As load_state_dict() copies into one parameter twice.
TEST_F(WarmStartValuesTest, OfTwoTensorsForOneTheLaterWins) {
  RegisterTied();
  const std::string source = world_.MustSave(MakeSafetensors(
      {FloatTensor("embed", {4, 2}, /*seed=*/1), FloatTensor("layer", {2}),
       FloatTensor("head", {4, 2}, /*seed=*/2)}));
  ASSERT_OK_AND_ASSIGN(const WarmStartResult result,
                       Run(RequestFor("tied", source)));
  const Manifest before = world_.ManifestOf(source);
  const Manifest after = world_.ManifestOf(HandleOf(result));
  ASSERT_EQ(after.entries[2].key, "head");
  EXPECT_NE(before.entries[0].digest, before.entries[2].digest);
  EXPECT_EQ(after.entries[0].digest, before.entries[2].digest);
  EXPECT_EQ(after.entries[2].digest, before.entries[2].digest);
  ExpectTied(HandleOf(result));
}

}  // namespace
}  // namespace warmstart::service
