#include "server/service/lineage/lineage.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/service/warm_start.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

class LineageTest : public ::testing::Test {
 protected:
  LineageTest() {
    for (const char* name : {"small", "wide"}) {
      Architecture schema = MakeSchema(
          name, {{"a", {2}}, {"b", {std::string(name) == "wide" ? 4 : 2}}});
      schema.entries[1].initializer = UniformInit{};
      EXPECT_OK(world_.architectures().Register(std::move(schema)));
    }
  }

  std::string Upload(const std::string& prefix = "", int seed = 0) {
    return world_.MustSave(
        MakeSafetensors({FloatTensor(prefix + "a", {2}, seed),
                         FloatTensor(prefix + "b", {2}, seed)}));
  }
  std::string Fresh(const std::string& architecture) {
    SaveModelRequest request;
    request.architecture = architecture;
    request.seed = 3;
    const auto saved = world_.Save({}, request);
    EXPECT_OK(saved);
    return saved.ok() ? saved->checkpoint.name.ToString() : "";
  }
  std::string Start(WarmStartRequest request,
                    const std::vector<std::string>& sources,
                    const std::string& architecture = "small") {
    request.architecture = architecture;
    for (const std::string& source : sources) {
      request.sources.push_back({source, ""});
    }
    request.seed = 7;
    const auto result = WarmStart(world_.context(), request);
    EXPECT_OK(result);
    if (!result.ok()) return "";
    EXPECT_OK(result->verdict);
    return result->checkpoint.has_value() ? result->checkpoint->name.ToString()
                                          : "";
  }
  Lineage Trace(const std::string& handle, LineageOptions options = {}) {
    auto lineage = TraceLineage(world_.context(), handle, options);
    EXPECT_OK(lineage);
    return lineage.ok() ? *std::move(lineage) : Lineage{};
  }
  // The steps of one tensor; none where it is not there.
  std::vector<LineageStep> StepsOf(const std::string& handle,
                                   const std::string& key) {
    const Lineage lineage = Trace(handle, {.keys = {key}});
    EXPECT_THAT(lineage.tensors, SizeIs(1));
    return lineage.tensors.empty() ? std::vector<LineageStep>()
                                   : lineage.tensors[0].steps;
  }
  void Delete(const std::string& handle) {
    EXPECT_OK(world_.store().DeleteCheckpoint(
        CheckpointName::Parse(handle).value(), /*force=*/true));
  }

  World world_;
};

TEST_F(LineageTest, AnUploadIsWhereItEnds) {
  const std::string upload = Upload();
  const Lineage lineage = Trace(upload);
  EXPECT_EQ(lineage.checkpoint.ToString(), upload);
  EXPECT_EQ(lineage.next, std::nullopt);
  ASSERT_THAT(lineage.tensors, SizeIs(2));
  for (const TensorLineage& tensor : lineage.tensors) {
    ASSERT_THAT(tensor.steps, SizeIs(1));
    EXPECT_EQ(tensor.steps[0].kind, LineageKind::kUploaded);
    EXPECT_THAT(tensor.steps[0].sources, IsEmpty());
  }
  ASSERT_THAT(lineage.checkpoints, SizeIs(1));
  EXPECT_THAT(std::get<UploadOrigin>(*lineage.checkpoints[0].origin).files,
              ElementsAre("model.safetensors"));
}

TEST_F(LineageTest, AnUploadsOwnReportIsNoLineage) {
  SaveModelRequest request;
  request.architecture = "small";
  ASSERT_OK_AND_ASSIGN(
      const SaveModelResult saved,
      world_.Save({{"f", MakeSafetensors({FloatTensor("a", {2})})}}, request));
  const auto steps = StepsOf(saved.checkpoint.name.ToString(), "a");
  ASSERT_THAT(steps, SizeIs(1));
  EXPECT_EQ(steps[0].kind, LineageKind::kUploaded);
}

TEST_F(LineageTest, AFreshModelHasInitializersAndItsSeed) {
  const std::string fresh = Fresh("small");
  const auto zeros = StepsOf(fresh, "a");
  ASSERT_THAT(zeros, SizeIs(1));
  EXPECT_EQ(zeros[0].kind, LineageKind::kInitialized);
  EXPECT_EQ(zeros[0].initializer, "zeros");
  EXPECT_EQ(StepsOf(fresh, "b").at(0).initializer, "uniform");
  EXPECT_EQ(StepsOf(fresh, "b").at(0).seed, 3);
}

TEST_F(LineageTest, WithoutItsArchitectureOnlyTheSeedIsKnown) {
  const std::string fresh = Fresh("small");
  ASSERT_OK(world_.architectures().Delete("small", /*force=*/true));
  const auto steps = StepsOf(fresh, "b");
  ASSERT_THAT(steps, SizeIs(1));
  EXPECT_EQ(steps[0].kind, LineageKind::kInitialized);
  EXPECT_EQ(steps[0].initializer, "");
  EXPECT_EQ(steps[0].seed, 3);
}

TEST_F(LineageTest, ARenamedKeyIsFollowedBackThroughItsRules) {
  const std::string upload = Upload("net.");
  WarmStartRequest request;
  request.rules.emplace_back(StripPrefixRule{"net."});
  const std::string first = Start(request, {upload});
  const std::string second = Start({}, {first});
  const auto steps = StepsOf(second, "b");
  ASSERT_THAT(steps, SizeIs(3));
  EXPECT_EQ(steps[0].checkpoint.ToString(), second);
  EXPECT_EQ(steps[0].outcome, TargetOutcome::kMatched);
  EXPECT_THAT(steps[0].sources, ElementsAre(1));
  EXPECT_EQ(steps[0].seed, std::nullopt);
  EXPECT_EQ(steps[1].checkpoint.ToString(), first);
  EXPECT_EQ(steps[1].outcome, TargetOutcome::kRenamed);
  EXPECT_THAT(steps[1].rules, ElementsAre(HasSubstr("net.")));
  EXPECT_THAT(steps[1].sources, ElementsAre(2));
  EXPECT_EQ(steps[2].checkpoint.ToString(), upload);
  EXPECT_EQ(steps[2].key, "net.b");
  EXPECT_EQ(steps[2].kind, LineageKind::kUploaded);
  EXPECT_EQ(steps[2].spec, steps[0].spec);
}

TEST_F(LineageTest, WhatIsMissingBeginsWithItsInitializerAndSeed) {
  const std::string upload =
      world_.MustSave(MakeSafetensors({FloatTensor("a", {2})}));
  const auto steps = StepsOf(Start({}, {upload}), "b");
  ASSERT_THAT(steps, SizeIs(1));
  EXPECT_EQ(steps[0].kind, LineageKind::kInitialized);
  EXPECT_EQ(steps[0].outcome, TargetOutcome::kInitialized);
  EXPECT_EQ(steps[0].initializer, "uniform");
  EXPECT_EQ(steps[0].seed, 7);
}

TEST_F(LineageTest, AnAverageHasAllItsSources) {
  WarmStartRequest request;
  request.combination = planner::WeightedAverage{};
  const std::string one = Upload("", 1);
  const std::string two = Upload("", 2);
  const auto steps = StepsOf(Start(request, {one, two}), "a");
  ASSERT_THAT(steps, SizeIs(3));
  EXPECT_EQ(steps[0].outcome, TargetOutcome::kAveraged);
  EXPECT_THAT(steps[0].sources, ElementsAre(1, 2));
  EXPECT_NE(steps[0].derivation, "");
  EXPECT_EQ(steps[1].checkpoint.ToString(), one);
  EXPECT_EQ(steps[2].checkpoint.ToString(), two);
}

TEST_F(LineageTest, AnAdaptedTensorHasASourceAndFreshValues) {
  WarmStartRequest request;
  request.shape_adapters.push_back({"b", RowsAdapter{}});
  const auto steps = StepsOf(Start(request, {Upload()}, "wide"), "b");
  ASSERT_THAT(steps, SizeIs(2));
  EXPECT_EQ(steps[0].kind, LineageKind::kLoaded);
  EXPECT_EQ(steps[0].outcome, TargetOutcome::kAdapted);
  EXPECT_NE(steps[0].adaptation, "");
  EXPECT_EQ(steps[0].initializer, "uniform");
  EXPECT_EQ(steps[0].seed, 7);
  EXPECT_NE(steps[0].spec, steps[1].spec);
}

// Averages of averages: every path from the last to the upload would be 2^30.
TEST_F(LineageTest, ATensorIsOneStepHoweverManyPathsLeadToIt) {
  WarmStartRequest request;
  request.combination = planner::WeightedAverage{};
  std::string left = Upload("", 1);
  std::string right = Upload("", 2);
  for (int i = 0; i < 30; ++i) {
    std::string next_left = Start(request, {left, right});
    right = Start(request, {right, left});
    left = std::move(next_left);
  }
  EXPECT_THAT(StepsOf(left, "a"), SizeIs(1 + 2 * 30));
}

TEST_F(LineageTest, ADeletedSourceIsToldAndEndsIt) {
  const std::string upload = Upload();
  const std::string start = Start({}, {upload});
  Delete(upload);
  const Lineage lineage = Trace(start);
  ASSERT_THAT(lineage.checkpoints, SizeIs(2));
  EXPECT_EQ(lineage.checkpoints[1].name.ToString(), upload);
  EXPECT_TRUE(lineage.checkpoints[1].deleted);
  EXPECT_EQ(lineage.checkpoints[1].origin, std::nullopt);
  const std::vector<LineageStep>& steps = lineage.tensors.at(0).steps;
  ASSERT_THAT(steps, SizeIs(2));
  EXPECT_EQ(steps[1].kind, LineageKind::kDeleted);
  EXPECT_EQ(steps[1].key, "a");
  EXPECT_EQ(steps[1].spec, std::nullopt);
}

TEST_F(LineageTest, StoredInitialValuesAreASource) {
  Architecture schema = MakeSchema("stored", {{"a", {2}}, {"c", {2}}});
  schema.entries[0].initializer = StoredInit{};
  schema.entries[1].initializer = StoredInit{"b"};
  const std::string keeper = Upload("", 9);
  ASSERT_OK(world_.architectures().Register(schema, {keeper}));
  const auto fresh = StepsOf(Fresh("stored"), "c");
  ASSERT_THAT(fresh, SizeIs(2));
  EXPECT_EQ(fresh[0].initializer, "stored");
  EXPECT_EQ(fresh[0].seed, std::nullopt);
  EXPECT_EQ(fresh[1].checkpoint.ToString(), keeper);
  EXPECT_EQ(fresh[1].key, "b");

  const auto started = StepsOf(Start({}, {Upload()}, "stored"), "c");
  ASSERT_THAT(started, SizeIs(2));
  EXPECT_EQ(started[0].kind, LineageKind::kInitialized);
  EXPECT_EQ(started[0].seed, std::nullopt);
  EXPECT_EQ(started[1].checkpoint.ToString(), keeper);
}

TEST_F(LineageTest, ATiedTensorHasTheValuesThatItIsTiedTo) {
  Architecture schema = MakeSchema("tied", {{"a", {2}}, {"z", {2}}});
  schema.entries[0].initializer = UniformInit{};
  schema.entries[1].tied_to = "a";
  ASSERT_OK(world_.architectures().Register(schema));
  const auto steps = StepsOf(Fresh("tied"), "z");
  ASSERT_THAT(steps, SizeIs(1));
  EXPECT_EQ(steps[0].tied_to, "a");
  EXPECT_EQ(steps[0].initializer, "uniform");
}

TEST_F(LineageTest, PagesFollowEachOther) {
  const std::string start = Start({}, {Upload()});
  const Lineage first = Trace(start, {.page_size = 1});
  ASSERT_THAT(first.tensors, SizeIs(1));
  ASSERT_EQ(first.next, 1);
  const Lineage second = Trace(start, {.first = 1, .page_size = 1});
  ASSERT_THAT(second.tensors, SizeIs(1));
  EXPECT_EQ(second.tensors[0].steps[0].key, "b");
  EXPECT_EQ(second.next, std::nullopt);
}

TEST_F(LineageTest, APageWithManyStepsEndsEarly) {
  LineageOptions options;
  options.limits.steps_per_page = 2;
  const Lineage page = Trace(Start({}, {Upload()}), options);
  EXPECT_THAT(page.tensors, SizeIs(1));
  EXPECT_EQ(page.next, 1);
}

TEST_F(LineageTest, WhatIsBeyondALimitIsToldToBeCut) {
  const std::string upload = Upload();
  const std::string first = Start({}, {upload});
  const std::string second = Start({}, {first});
  LineageOptions few_steps;
  few_steps.limits.steps_per_tensor = 1;
  const auto short_steps = Trace(second, few_steps).tensors.at(0).steps;
  ASSERT_THAT(short_steps, SizeIs(2));
  EXPECT_EQ(short_steps[0].kind, LineageKind::kLoaded);
  EXPECT_EQ(short_steps[1].kind, LineageKind::kCut);
  EXPECT_EQ(short_steps[1].checkpoint.ToString(), first);

  LineageOptions few_keys;
  few_keys.limits.keys = 4;
  const Lineage lineage = Trace(second, few_keys);
  const auto& steps = lineage.tensors.at(1).steps;
  ASSERT_THAT(steps, SizeIs(3));
  EXPECT_EQ(steps[1].kind, LineageKind::kLoaded);
  EXPECT_EQ(steps[2].kind, LineageKind::kCut);
  EXPECT_FALSE(lineage.checkpoints.at(2).deleted);
}

TEST_F(LineageTest, WhatCannotBeAskedIsRefusedByItsField) {
  const auto refuse = [&](const std::string& handle, LineageOptions options) {
    const auto lineage = TraceLineage(world_.context(), handle, options);
    EXPECT_THAT(lineage, StatusIs(absl::StatusCode::kInvalidArgument));
    return FieldOf(lineage.status());
  };
  const std::string upload = Upload();
  EXPECT_EQ(refuse("", {}), "name");
  EXPECT_EQ(refuse("NetA", {}), "name");
  EXPECT_EQ(refuse(upload, {.keys = {"[z-a]"}}), "keys[0]");
  EXPECT_EQ(refuse(upload, {.keys = std::vector<std::string>(1001, "*")}),
            "keys");
  EXPECT_EQ(refuse(upload, {.first = 2}), "page_token");
  EXPECT_THAT(
      TraceLineage(world_.context(), CheckpointName::Random().ToString(), {}),
      StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(LineageTest, ARecordThatContradictsItselfIsDataLoss) {
  const std::string start = Start({}, {Upload()});
  ASSERT_OK_AND_ASSIGN(
      const store::Checkpoint record,
      world_.store().GetCheckpoint(CheckpointName::Parse(start).value()));
  store::NewCheckpoint altered;
  altered.manifest = world_.ManifestOf(start);
  altered.architecture = record.architecture;
  altered.report_json = record.report_json;
  altered.origin_json = OriginToJson(WarmStartOrigin{{}, 7, "cpu"});
  ASSERT_OK_AND_ASSIGN(const store::Checkpoint made,
                       world_.store().NewDraft()->Commit(altered));
  EXPECT_THAT(TraceLineage(world_.context(), made.name.ToString(), {}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("sources")));
}

}  // namespace
}  // namespace warmstart::service
