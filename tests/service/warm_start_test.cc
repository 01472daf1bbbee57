#include "server/service/warm_start.h"

#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/service/origin.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

WarmStartRequest RequestFor(const std::string& architecture,
                            const std::vector<std::string>& handles) {
  WarmStartRequest request;
  request.architecture = architecture;
  for (const std::string& handle : handles) {
    request.sources.push_back({handle, ""});
  }
  request.seed = 7;
  return request;
}

WarmStartOrigin OriginOf(const store::Checkpoint& checkpoint) {
  const absl::StatusOr<Origin> origin = OriginFromJson(checkpoint.origin_json);
  EXPECT_OK(origin);
  const auto* start = std::get_if<WarmStartOrigin>(&*origin);
  EXPECT_NE(start, nullptr);
  return start == nullptr ? WarmStartOrigin{} : *start;
}

std::string HandleOf(const WarmStartResult& result) {
  EXPECT_TRUE(result.checkpoint.has_value());
  return result.checkpoint.has_value() ? result.checkpoint->name.ToString()
                                       : "";
}

// The recipe: NetB starts from NetA's checkpoint.
class WarmStartTest : public ::testing::Test {
 protected:
  // A checkpoint of the recipe's network without its last layer.
  std::string SavePartial() {
    std::vector<Tensor> tensors = RecipeTensors();
    tensors.resize(tensors.size() - 2);  // fc3.weight, fc3.bias
    return world_.MustSave(MakeSafetensors(tensors));
  }
  std::string SaveWhole(int seed = 0) {
    return world_.MustSave(MakeSafetensors(RecipeTensors(seed)));
  }
  absl::StatusOr<WarmStartResult> Run(const WarmStartRequest& request) {
    return WarmStart(world_.context(), request);
  }
  // What a fresh NetB of seed 7 has.
  std::map<std::string, std::string> FreshValues() {
    SaveModelRequest request;
    request.architecture = "NetB";
    request.seed = 7;
    return world_.Values(
        world_.Save({}, request).value().checkpoint.name.ToString());
  }

  World world_;
};

TEST_F(WarmStartTest, ASourceTensorInQuarantineIsRefusedByName) {
  const std::string source = world_.MustSave(
      MakeSafetensors({FloatTensor("a", {40'000}, 1), FloatTensor("b", {2})}));
  ASSERT_OK(
      world_.store()
          .PutArchitecture(MakeSchema("Same", {{"a", {40'000}}, {"b", {2}}}))
          .status());
  ASSERT_OK(Run(RequestFor("Same", {source})).status());
  std::filesystem::remove(world_.PackPath(world_.Packs().at(0)));
  // Nobody has noticed yet, and nothing is read.
  ASSERT_OK(Run(RequestFor("Same", {source})).status());
  const Digest digest = world_.ManifestOf(source).entries[0].digest;
  ASSERT_FALSE(world_.store().OpenBlob(digest).ok());
  const size_t before = world_.num_checkpoints();
  const auto refused = Run(RequestFor("Same", {source}));
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kDataLoss,
                                AllOf(HasSubstr("'a'"), HasSubstr(source))));
  EXPECT_EQ(ReasonOf(refused.status()), "DATA_LOSS");
  EXPECT_EQ(world_.num_checkpoints(), before);
}

TEST_F(WarmStartTest, AllKeysThatMatchAreLoadedAndNoByteIsStored) {
  const std::string source = SaveWhole();
  const int64_t blobs = world_.num_blobs();
  ASSERT_OK_AND_ASSIGN(const WarmStartResult result,
                       Run(RequestFor("architectures/NetB", {source})));
  EXPECT_OK(result.verdict);
  EXPECT_EQ(result.report.summary, "<All keys matched successfully>");
  EXPECT_EQ(result.report.coverage.KeyFraction(), 1);
  EXPECT_EQ(world_.Values(HandleOf(result)), world_.Values(source));
  EXPECT_EQ(world_.num_blobs(), blobs);
  EXPECT_EQ(result.checkpoint->architecture->ToString(), "architectures/NetB");
  const WarmStartOrigin origin = OriginOf(*result.checkpoint);
  EXPECT_THAT(origin.sources,
              ElementsAre(CheckpointName::Parse(source).value()));
  EXPECT_EQ(origin.seed, 7);
  EXPECT_EQ(origin.device, "cpu");
}

TEST_F(WarmStartTest, MissingKeysAreInitializedFromTheSeed) {
  const std::string source = SavePartial();
  ASSERT_OK_AND_ASSIGN(const WarmStartResult result,
                       Run(RequestFor("NetB", {source})));
  EXPECT_OK(result.verdict);
  EXPECT_EQ(result.report.summary,
            "_IncompatibleKeys(missing_keys=['fc3.weight', 'fc3.bias'], "
            "unexpected_keys=[])");
  const auto values = world_.Values(HandleOf(result));
  const auto loaded = world_.Values(source);
  const auto fresh = FreshValues();
  EXPECT_EQ(values.at("fc1.weight"), loaded.at("fc1.weight"));
  EXPECT_EQ(values.at("fc3.weight"), fresh.at("fc3.weight"));
  EXPECT_EQ(values.at("fc3.bias"), fresh.at("fc3.bias"));
}

TEST_F(WarmStartTest, TheStoredReportIsTheOneThatWasAnswered) {
  ASSERT_OK_AND_ASSIGN(const WarmStartResult result,
                       Run(RequestFor("NetB", {SavePartial()})));
  EXPECT_EQ(result.checkpoint->report_json, MatchReportToJson(result.report));
}

TEST_F(WarmStartTest, ASeedIsDrawnWhereNoneIsGivenAndRecorded) {
  const std::string source = SavePartial();
  WarmStartRequest request = RequestFor("NetB", {source});
  request.seed.reset();
  ASSERT_OK_AND_ASSIGN(const WarmStartResult drawn, Run(request));
  request.seed = OriginOf(*drawn.checkpoint).seed;
  ASSERT_OK_AND_ASSIGN(const WarmStartResult again, Run(request));
  EXPECT_EQ(world_.Values(HandleOf(drawn)), world_.Values(HandleOf(again)));
  request.seed = *request.seed + 1;
  ASSERT_OK_AND_ASSIGN(const WarmStartResult other, Run(request));
  EXPECT_NE(world_.Values(HandleOf(drawn)), world_.Values(HandleOf(other)));
}

TEST_F(WarmStartTest, OptionsOfTheCheckpointAreKept) {
  WarmStartRequest request = RequestFor("NetB", {SaveWhole()});
  request.options.labels = {{"team", "vision"}};
  request.options.alias = "aliases/netb/best";
  ASSERT_OK_AND_ASSIGN(const WarmStartResult result, Run(request));
  EXPECT_EQ(result.checkpoint->labels, request.options.labels);
  ASSERT_OK_AND_ASSIGN(const CheckpointName name,
                       world_.store().Resolve("aliases/netb/best"));
  EXPECT_EQ(name, result.checkpoint->name);
}

TEST_F(WarmStartTest, AnAliasNamesASource) {
  const std::string source = SaveWhole();
  ASSERT_OK(world_.store().SetAlias(AliasName::Parse("best").value(),
                                    CheckpointName::Parse(source).value()));
  ASSERT_OK_AND_ASSIGN(const WarmStartResult result,
                       Run(RequestFor("NetB", {"aliases/best"})));
  // The record names the checkpoint, since the alias may move.
  EXPECT_THAT(OriginOf(*result.checkpoint).sources,
              ElementsAre(CheckpointName::Parse(source).value()));
}

TEST_F(WarmStartTest, OfSeveralSourcesTheFirstThatHasAKeySuppliesIt) {
  const std::string partial = SavePartial();
  const std::string whole = SaveWhole(/*seed=*/1);
  ASSERT_OK_AND_ASSIGN(const WarmStartResult result,
                       Run(RequestFor("NetB", {partial, whole})));
  EXPECT_EQ(result.report.summary, "<All keys matched successfully>");
  const auto values = world_.Values(HandleOf(result));
  EXPECT_EQ(values.at("fc1.bias"), world_.Values(partial).at("fc1.bias"));
  EXPECT_EQ(values.at("fc3.bias"), world_.Values(whole).at("fc3.bias"));
  EXPECT_THAT(OriginOf(*result.checkpoint).sources,
              ElementsAre(CheckpointName::Parse(partial).value(),
                          CheckpointName::Parse(whole).value()));
}

TEST_F(WarmStartTest, RulesGlobsAndSubtreesReachThePlanner) {
  const std::string source = world_.MustSave(MakeSafetensors(
      {FloatTensor("model.old.weight", {2}), FloatTensor("model.old.bias", {2}),
       FloatTensor("model.left_out", {2}), FloatTensor("elsewhere", {2})}));
  ASSERT_OK(world_.architectures().Register(
      MakeSchema("mine", {{"top.new.weight", {2}}, {"top.new.bias", {2}}})));
  WarmStartRequest request = RequestFor("mine", {source});
  request.sources[0].subtree = "model";
  request.include = {"old.*", "left_out"};
  request.exclude = {"left_*"};
  request.rules = {RegexRule{"^old", "new"}, AddPrefixRule{"top."}};
  request.strict = true;
  ASSERT_OK_AND_ASSIGN(const WarmStartResult result, Run(request));
  EXPECT_OK(result.verdict);
  EXPECT_EQ(world_.Values(HandleOf(result)).at("top.new.weight"),
            world_.Values(source).at("model.old.weight"));
}

TEST_F(WarmStartTest, ACastIsComputedAndStored) {
  const std::string source = world_.MustSave(MakeSafetensors(
      {{"w", DType::kFloat64, {2}, BytesOf<double>({0.5, 3})}}));
  ASSERT_OK(world_.architectures().Register(MakeSchema("mine", {{"w", {2}}})));
  WarmStartRequest request = RequestFor("mine", {source});
  ASSERT_OK_AND_ASSIGN(const WarmStartResult cast, Run(request));
  EXPECT_EQ(world_.Values(HandleOf(cast)).at("w"), BytesOf<float>({0.5, 3}));
  EXPECT_EQ(cast.report.entries[0].outcome, TargetOutcome::kCast);

  request.on_dtype_mismatch = planner::DTypePolicy::kKeep;
  ASSERT_OK_AND_ASSIGN(const WarmStartResult kept, Run(request));
  EXPECT_EQ(world_.Values(HandleOf(kept)).at("w"), BytesOf<double>({0.5, 3}));

  request.on_dtype_mismatch = planner::DTypePolicy::kError;
  ASSERT_OK_AND_ASSIGN(const WarmStartResult refused, Run(request));
  EXPECT_THAT(refused.verdict, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(ReasonOf(refused.verdict), "DTYPE_MISMATCH");
}

TEST_F(WarmStartTest, AMismatchedShapeFailsUnlessItIsToBeSkipped) {
  std::vector<Tensor> tensors = RecipeTensors();
  tensors.back() = FloatTensor("fc3.bias", {11});
  const std::string source = world_.MustSave(MakeSafetensors(tensors));
  WarmStartRequest request = RequestFor("NetB", {source});
  ASSERT_OK_AND_ASSIGN(const WarmStartResult refused, Run(request));
  EXPECT_THAT(refused.verdict,
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("size mismatch for fc3.bias")));
  EXPECT_EQ(ReasonOf(refused.verdict), "SHAPE_MISMATCH");
  request.on_shape_mismatch = planner::ShapePolicy::kSkip;
  ASSERT_OK_AND_ASSIGN(const WarmStartResult skipped, Run(request));
  EXPECT_EQ(world_.Values(HandleOf(skipped)).at("fc3.bias"),
            FreshValues().at("fc3.bias"));
}

TEST_F(WarmStartTest, AVerdictStoresNothingAndComesWithTheReport) {
  const std::string source = SavePartial();
  const size_t checkpoints = world_.num_checkpoints();
  const int64_t blobs = world_.num_blobs();
  WarmStartRequest strict = RequestFor("NetB", {source});
  strict.strict = true;
  strict.options.request_id = "id";
  strict.options.alias = "x";
  WarmStartRequest covered = strict;
  covered.strict = false;
  covered.min_coverage = 0.999;
  for (const auto& [request, reason] :
       {std::pair{strict, "STRICT_NOT_MET"},
        std::pair{covered, "COVERAGE_NOT_MET"}}) {
    ASSERT_OK_AND_ASSIGN(const WarmStartResult result, Run(request));
    EXPECT_THAT(result.verdict,
                StatusIs(absl::StatusCode::kFailedPrecondition));
    EXPECT_EQ(ReasonOf(result.verdict), reason);
    EXPECT_FALSE(result.checkpoint.has_value());
    EXPECT_THAT(result.report.missing_keys,
                ElementsAre("fc3.weight", "fc3.bias"));
    EXPECT_THAT(result.report.entries, SizeIs(10));
  }
  EXPECT_EQ(world_.num_checkpoints(), checkpoints);
  EXPECT_EQ(world_.num_blobs(), blobs);
  EXPECT_THAT(world_.Staged(), IsEmpty());
  EXPECT_THAT(world_.store().Resolve("aliases/x"),
              StatusIs(absl::StatusCode::kNotFound));
  // The id was not used up.
  covered.min_coverage = 0.5;
  ASSERT_OK_AND_ASSIGN(const WarmStartResult result, Run(covered));
  EXPECT_OK(result.verdict);
}

TEST_F(WarmStartTest, ADryRunReportsAndStoresNothing) {
  const std::string source = SavePartial();
  const size_t checkpoints = world_.num_checkpoints();
  const int64_t blobs = world_.num_blobs();
  WarmStartRequest request = RequestFor("NetB", {source});
  request.validate_only = true;
  request.options.request_id = "id";
  ASSERT_OK_AND_ASSIGN(const WarmStartResult dry, Run(request));
  EXPECT_OK(dry.verdict);
  EXPECT_FALSE(dry.checkpoint.has_value());
  EXPECT_EQ(world_.num_checkpoints(), checkpoints);
  EXPECT_EQ(world_.num_blobs(), blobs);
  // What it promises is what happens, under the same id.
  request.validate_only = false;
  ASSERT_OK_AND_ASSIGN(const WarmStartResult wet, Run(request));
  EXPECT_EQ(MatchReportToJson(wet.report), MatchReportToJson(dry.report));
}

TEST_F(WarmStartTest, ARetryGetsTheFirstCheckpointEvenWithoutItsSource) {
  const std::string source = SavePartial();
  WarmStartRequest request = RequestFor("NetB", {source});
  request.options.request_id = "id";
  ASSERT_OK_AND_ASSIGN(const WarmStartResult first, Run(request));
  ASSERT_OK(world_.store().DeleteCheckpoint(
      CheckpointName::Parse(source).value(), false));
  const size_t checkpoints = world_.num_checkpoints();
  ASSERT_OK_AND_ASSIGN(const WarmStartResult second, Run(request));
  EXPECT_EQ(HandleOf(second), HandleOf(first));
  EXPECT_OK(second.verdict);
  EXPECT_EQ(MatchReportToJson(second.report), MatchReportToJson(first.report));
  EXPECT_EQ(world_.num_checkpoints(), checkpoints);
}

TEST_F(WarmStartTest, EveryFieldBelongsToWhatARequestIdStandsFor) {
  const std::string source = SavePartial();
  const std::string other_source = SaveWhole();
  WarmStartRequest request = RequestFor("NetB", {source});
  request.options.request_id = "id";
  request.options.labels = {{"a", "b"}};
  request.rules = {RenameRule{"a", "b=c"}};
  request.include = {"*"};
  ASSERT_OK(Run(request));

  std::vector<WarmStartRequest> others(15, request);
  others[0].architecture = "NetA";
  others[1].sources[0].checkpoint = other_source;
  others[2].sources[0].subtree = "model";
  others[3].sources.push_back({other_source, ""});
  others[4].rules = {RenameRule{"a=b", "c"}};  // reads the same
  others[5].rules = {AddPrefixRule{"x"}};
  others[6].include = {};
  std::swap(others[7].include, others[7].exclude);
  others[8].strict = true;
  others[9].on_shape_mismatch = planner::ShapePolicy::kSkip;
  others[10].on_dtype_mismatch = planner::DTypePolicy::kKeep;
  others[11].min_coverage = 0.5;
  others[12].seed.reset();
  others[13].options.labels = {};
  others[14].options.alias = "x";
  for (size_t i = 0; i < others.size(); ++i) {
    const auto result = Run(others[i]);
    EXPECT_THAT(result, StatusIs(kInvalid)) << i;
    EXPECT_EQ(ReasonOf(result.status()), "REQUEST_ID_REUSED") << i;
  }
}

TEST_F(WarmStartTest, WhatIsNotThereIsNotFound) {
  const std::string source = SavePartial();
  const std::string deleted = SaveWhole();
  ASSERT_OK(world_.store().DeleteCheckpoint(
      CheckpointName::Parse(deleted).value(), false));
  struct Case {
    WarmStartRequest request;
    std::string reason;
  };
  std::vector<Case> cases = {
      {RequestFor("NetC", {source}), "ARCHITECTURE_NOT_FOUND"},
      {RequestFor("NetB", {source, deleted}), "CHECKPOINT_NOT_FOUND"},
      {RequestFor("NetB", {"aliases/nobody"}), "ALIAS_NOT_FOUND"},
      {RequestFor("NetB", {source}), "SUBTREE_NOT_FOUND"},
  };
  cases.back().request.sources[0].subtree = "model";
  for (const Case& c : cases) {
    const auto result = Run(c.request);
    EXPECT_THAT(result, StatusIs(absl::StatusCode::kNotFound)) << c.reason;
    EXPECT_EQ(ReasonOf(result.status()), c.reason);
  }
}

TEST_F(WarmStartTest, FieldsOutOfRangeAreRefusedByName) {
  const std::string source = SavePartial();
  const WarmStartRequest good = RequestFor("NetB", {source});
  std::vector<std::pair<WarmStartRequest, std::string>> cases;
  const auto add = [&](const std::string& field) -> WarmStartRequest& {
    return cases.emplace_back(good, field).first;
  };
  add("architecture").architecture = "";
  add("sources").sources.clear();
  add("sources[1].checkpoint").sources.push_back({"", ""});
  add("sources[0].checkpoint").sources[0].checkpoint = "NetA";
  add("min_coverage").min_coverage = 1.5;
  add("min_coverage").min_coverage = std::nan("");
  add("device").device = "tpu";
  add("alias").options.alias = "//";
  add("request_id").options.request_id = " ";
  add("sources").sources.resize(65, good.sources[0]);
  add("key_rules").rules.resize(1001, AddPrefixRule{"x"});
  add("include").include.resize(1001, "*");
  add("exclude").exclude.resize(1001, "x");
  for (const auto& [request, field] : cases) {
    const auto result = Run(request);
    EXPECT_THAT(result, StatusIs(kInvalid, HasSubstr(field))) << field;
    EXPECT_EQ(FieldOf(result.status()), field);
  }
}

TEST_F(WarmStartTest, ADeviceThatIsNotThereIsAFailedPrecondition) {
  WarmStartRequest request = RequestFor("NetB", {SavePartial()});
  request.device = "cuda:63";
  const auto result = Run(request);
  EXPECT_THAT(result, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(ReasonOf(result.status()), "DEVICE_UNAVAILABLE");
}

TEST_F(WarmStartTest, AWarmStartOfAWarmStartHasTheSameTensors) {
  const std::string source = SavePartial();
  ASSERT_OK_AND_ASSIGN(const WarmStartResult first,
                       Run(RequestFor("NetB", {source})));
  const int64_t blobs = world_.num_blobs();
  ASSERT_OK_AND_ASSIGN(const WarmStartResult second,
                       Run(RequestFor("NetA", {HandleOf(first)})));
  EXPECT_EQ(world_.Values(HandleOf(second)), world_.Values(HandleOf(first)));
  EXPECT_EQ(world_.num_blobs(), blobs);
}

// Sources come and go while others start from them: whoever loses the race is
// told so, and what was answered can be read.
TEST_F(WarmStartTest, StartsAndDeletionsAtTheSameTimeNeverTear) {
  const auto work = [&](int worker) {
    for (int round = 0; round < 10; ++round) {
      const std::string source = SaveWhole(worker % 2);
      WarmStartRequest request = RequestFor("NetB", {source});
      std::thread rival([&] {
        world_.store()
            .DeleteCheckpoint(CheckpointName::Parse(source).value(), true)
            .IgnoreError();
      });
      const auto result = Run(request);
      rival.join();
      if (result.ok()) {
        EXPECT_THAT(world_.Values(HandleOf(*result)), SizeIs(10));
      } else {
        EXPECT_TRUE(absl::IsNotFound(result.status()) ||
                    absl::IsAborted(result.status()))
            << result.status();
        EXPECT_NE(ReasonOf(result.status()), "");
      }
    }
  };
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) workers.emplace_back(work, i);
  for (std::thread& worker : workers) worker.join();
}

}  // namespace
}  // namespace warmstart::service
