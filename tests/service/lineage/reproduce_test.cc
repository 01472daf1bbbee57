#include "server/service/lineage/reproduce.h"

#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/service/warm_start.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

constexpr auto kAgrees = ReproductionVerdict::kAgrees;
constexpr auto kDiffers = ReproductionVerdict::kDiffers;
constexpr auto kCannot = ReproductionVerdict::kCannot;

class ReproduceTest : public ::testing::Test {
 protected:
  // A checkpoint of the recipe's network without its last layer.
  std::string SavePartial(int seed = 0) {
    std::vector<Tensor> tensors = RecipeTensors(seed);
    tensors.resize(tensors.size() - 2);
    return world_.MustSave(MakeSafetensors(tensors));
  }

  // The records of this test's requests are numbers.
  std::string Start(WarmStartRequest request,
                    const std::vector<std::string>& sources) {
    request.architecture = "NetB";
    for (const std::string& source : sources) {
      request.sources.push_back({source, ""});
    }
    request.recorded = absl::StrCat(requests_.size());
    WarmStartRequest& kept = requests_[*request.recorded];
    kept = request;
    // None of these is to be taken from the record.
    kept.architecture = "NetA";
    kept.sources.clear();
    kept.seed = 12345;
    const auto result = WarmStart(world_.context(), request);
    EXPECT_OK(result);
    if (!result.ok()) return "";
    EXPECT_OK(result->verdict);
    return result->checkpoint.has_value() ? result->checkpoint->name.ToString()
                                          : "";
  }

  absl::StatusOr<std::vector<Reproduction>> Run(const std::string& handle,
                                                ReproduceOptions options = {}) {
    std::vector<Reproduction> results;
    const auto read =
        [&](absl::string_view text) -> absl::StatusOr<WarmStartRequest> {
      const auto found = requests_.find(std::string(text));
      if (found != requests_.end()) return found->second;
      return absl::InvalidArgumentError("no such request");
    };
    const auto take = [&](const Reproduction& result) {
      results.push_back(result);
      return absl::OkStatus();
    };
    const absl::Status status =
        Reproduce(world_.context(), handle, options,
                  {read, take, [&] { return cancelled_; }});
    if (!status.ok()) return status;
    return results;
  }
  std::vector<Reproduction> MustRun(const std::string& handle,
                                    ReproduceOptions options = {}) {
    auto results = Run(handle, options);
    EXPECT_OK(results);
    return results.ok() ? *std::move(results) : std::vector<Reproduction>();
  }

  store::Checkpoint Record(const std::string& handle) {
    return world_.store()
        .GetCheckpoint(CheckpointName::Parse(handle).value())
        .value();
  }
  // A checkpoint with the record of `handle` but for what `alter` does.
  template <typename Alter>
  std::string Altered(const std::string& handle, const Alter& alter) {
    const store::Checkpoint record = Record(handle);
    store::NewCheckpoint made;
    made.manifest = world_.ManifestOf(handle);
    made.architecture = record.architecture;
    made.report_json = record.report_json;
    made.origin_json = record.origin_json;
    alter(made);
    const auto committed = world_.store().NewDraft()->Commit(made);
    EXPECT_OK(committed);
    return committed.ok() ? committed->name.ToString() : "";
  }
  void Delete(const std::string& handle) {
    EXPECT_OK(world_.store().DeleteCheckpoint(
        CheckpointName::Parse(handle).value(), /*force=*/true));
  }

  World world_;
  std::map<std::string, WarmStartRequest> requests_;
  bool cancelled_ = false;
};

TEST_F(ReproduceTest, AnUploadAgreesWithItsBytes) {
  const std::string upload = SavePartial();
  const auto results = MustRun(upload);
  ASSERT_THAT(results, SizeIs(1));
  EXPECT_EQ(results[0].checkpoint.ToString(), upload);
  EXPECT_EQ(results[0].verdict, kAgrees);
  EXPECT_EQ(results[0].num_keys, 8);
  EXPECT_EQ(results[0].num_differing, 0);
  EXPECT_EQ(results[0].reason, "");
}

class DamagedUploadTest : public ReproduceTest,
                          public ::testing::WithParamInterface<bool> {};

// What was read before is not compared by the store any more.
INSTANTIATE_TEST_SUITE_P(WasReadBefore, DamagedUploadTest, ::testing::Bool());

TEST_P(DamagedUploadTest, Differs) {
  const std::string upload = SavePartial();
  if (GetParam()) world_.Values(upload);
  std::fstream pack(world_.PackPath(world_.Packs().at(0)),
                    std::ios::in | std::ios::out | std::ios::binary);
  pack.seekp(-1, std::ios::end);  // of fc2.bias, the last tensor
  pack.put('\x7f');
  pack.close();
  const auto results = MustRun(upload);
  ASSERT_THAT(results, SizeIs(1));
  EXPECT_EQ(results[0].verdict, kDiffers);
  EXPECT_THAT(results[0].differing_keys, ElementsAre("fc2.bias"));
  EXPECT_EQ(results[0].num_keys, 8);
}

TEST_F(ReproduceTest, AFreshModelIsDrawnAgain) {
  SaveModelRequest request;
  request.architecture = "NetB";
  ASSERT_OK_AND_ASSIGN(const SaveModelResult saved, world_.Save({}, request));
  const auto results = MustRun(saved.checkpoint.name.ToString());
  ASSERT_THAT(results, SizeIs(1));
  EXPECT_EQ(results[0].verdict, kAgrees) << results[0].reason;
  EXPECT_EQ(results[0].num_keys, 10);
}

// A head that is fresh, an average, another dtype: each is computed again, from
// a seed that was drawn.
TEST_F(ReproduceTest, AChainOfWarmStartsIsMadeAgainAndNothingStored) {
  const std::string one = SavePartial(1);
  const std::string two = SavePartial(2);
  const std::string headed = Start({}, {one});
  WarmStartRequest average;
  average.combination = planner::WeightedAverage{};
  const std::string averaged = Start(average, {headed, two});
  ASSERT_OK(world_.store().SetAlias(AliasName::Parse("best").value(),
                                    CheckpointName::Parse(averaged).value()));
  const size_t checkpoints = world_.num_checkpoints();
  const int64_t blobs = world_.num_blobs();

  const auto results = MustRun("aliases/best");
  ASSERT_THAT(results, SizeIs(4));
  EXPECT_THAT(results, Each(AllOf(Field(&Reproduction::verdict, kAgrees),
                                  Field(&Reproduction::reason, ""))));
  EXPECT_EQ(results[0].checkpoint.ToString(), averaged);
  EXPECT_EQ(results[1].checkpoint.ToString(), headed);
  EXPECT_EQ(results[2].checkpoint.ToString(), two);
  EXPECT_EQ(results[3].checkpoint.ToString(), one);
  EXPECT_EQ(world_.num_checkpoints(), checkpoints);
  EXPECT_EQ(world_.num_blobs(), blobs);
  EXPECT_THAT(world_.Staged(), IsEmpty());
}

TEST_F(ReproduceTest, DirectIsThatCheckpointAlone) {
  const std::string start = Start({}, {SavePartial()});
  EXPECT_THAT(MustRun(start, {.direct = true}), SizeIs(1));
}

TEST_F(ReproduceTest, AnAliasThatMovedSinceDoesNotMatter) {
  const std::string one = SavePartial(1);
  const AliasName alias = AliasName::Parse("moving").value();
  ASSERT_OK(world_.store().SetAlias(alias, CheckpointName::Parse(one).value()));
  const std::string start = Start({}, {"aliases/moving"});
  ASSERT_OK(world_.store().SetAlias(
      alias, CheckpointName::Parse(SavePartial(2)).value()));
  EXPECT_EQ(MustRun(start)[0].verdict, kAgrees);
}

TEST_F(ReproduceTest, ADigestThatWasAlteredIsFound) {
  const std::string start = Start({}, {SavePartial()});
  const std::string altered = Altered(start, [](store::NewCheckpoint& made) {
    made.manifest.entries[8].digest = made.manifest.entries[4].digest;
    made.manifest.entries[8].spec = made.manifest.entries[4].spec;
  });
  const auto results = MustRun(altered, {.direct = true});
  ASSERT_THAT(results, SizeIs(1));
  EXPECT_EQ(results[0].verdict, kDiffers);
  EXPECT_EQ(results[0].num_keys, 10);
  EXPECT_EQ(results[0].num_differing, 1);
  EXPECT_THAT(results[0].differing_keys, ElementsAre("fc3.weight"));
  EXPECT_THAT(results[0].reason, HasSubstr("altered"));
}

TEST_F(ReproduceTest, AKeyThatOnlyOneOfTheTwoHasDiffers) {
  const std::string start = Start({}, {SavePartial()});
  const std::string altered = Altered(start, [](store::NewCheckpoint& made) {
    made.manifest.entries[0].key = "other";
  });
  const auto results = MustRun(altered, {.direct = true});
  EXPECT_EQ(results[0].verdict, kDiffers);
  EXPECT_EQ(results[0].num_keys, 11);
  EXPECT_THAT(results[0].differing_keys, ElementsAre("other", "conv1.weight"));
}

TEST_F(ReproduceTest, TheKeysThatAreNamedAreBounded) {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i <= kMaxDifferingKeys; ++i) {
    tensors.push_back(FloatTensor(absl::StrCat("t", i), {2}));
  }
  const std::string upload = world_.MustSave(MakeSafetensors(tensors));
  const std::string start = Start({}, {SavePartial()});
  const std::string altered = Altered(start, [&](store::NewCheckpoint& made) {
    made.manifest = world_.ManifestOf(upload);
  });
  const auto results = MustRun(altered, {.direct = true});
  EXPECT_EQ(results[0].num_differing, kMaxDifferingKeys + 1 + 10);
  EXPECT_THAT(results[0].differing_keys, SizeIs(kMaxDifferingKeys));
}

TEST_F(ReproduceTest, ADeletedSourceIsToldByBoth) {
  const std::string upload = SavePartial();
  const std::string start = Start({}, {upload});
  Delete(upload);
  const auto results = MustRun(start);
  ASSERT_THAT(results, SizeIs(2));
  EXPECT_EQ(results[0].verdict, kCannot);
  EXPECT_EQ(results[0].reason,
            absl::StrCat("its source, ", upload, ", was deleted"));
  EXPECT_EQ(results[0].num_keys, 0);
  EXPECT_EQ(results[1].verdict, kCannot);
  EXPECT_EQ(results[1].reason, "it was deleted");
  EXPECT_EQ(results[1].origin, std::nullopt);
}

TEST_F(ReproduceTest, ADeletedArchitectureIsTold) {
  ASSERT_OK(world_.architectures().Register(MakeSchema("mine", {{"a", {2}}})));
  SaveModelRequest request;
  request.architecture = "mine";
  ASSERT_OK_AND_ASSIGN(const SaveModelResult saved, world_.Save({}, request));
  ASSERT_OK(world_.architectures().Delete("mine", /*force=*/true));
  const auto results = MustRun(saved.checkpoint.name.ToString());
  EXPECT_EQ(results[0].verdict, kCannot);
  EXPECT_EQ(results[0].reason,
            "its architecture, architectures/mine/versions/1, was deleted");
}

TEST_F(ReproduceTest, AnEarlierVersionOfTheArchitectureIsTheOneThatIsUsed) {
  ASSERT_OK(world_.architectures().Register(MakeSchema("mine", {{"a", {2}}})));
  SaveModelRequest request;
  request.architecture = "mine";
  ASSERT_OK_AND_ASSIGN(const SaveModelResult saved, world_.Save({}, request));
  ASSERT_OK(world_.architectures().Register(MakeSchema("mine", {{"a", {3}}})));
  EXPECT_EQ(MustRun(saved.checkpoint.name.ToString())[0].verdict, kAgrees);
}

TEST_F(ReproduceTest, ARequestThatIsNotRecordedIsTold) {
  const std::string start = Start({}, {SavePartial()});
  const std::string old = Altered(start, [&](store::NewCheckpoint& made) {
    Origin origin = OriginFromJson(made.origin_json).value();
    std::get<WarmStartOrigin>(origin).request.reset();
    made.origin_json = OriginToJson(origin);
  });
  const auto results = MustRun(old);
  ASSERT_THAT(results, SizeIs(2));  // its source is made again all the same
  EXPECT_EQ(results[0].verdict, kCannot);
  EXPECT_THAT(results[0].reason, HasSubstr("not recorded"));
  EXPECT_EQ(results[1].verdict, kAgrees);
}

TEST_F(ReproduceTest, ARequestThatCannotBeReadIsTold) {
  const std::string start = Start({}, {SavePartial()});
  requests_.clear();
  EXPECT_EQ(MustRun(start)[0].reason, "no such request");
}

TEST_F(ReproduceTest, ARequestOfOtherSourcesIsTold) {
  const std::string start = Start({}, {SavePartial()});
  requests_["0"].sources.resize(2);
  const auto results = MustRun(start);
  EXPECT_EQ(results[0].verdict, kCannot);
  EXPECT_THAT(results[0].reason, HasSubstr("other sources"));
}

TEST_F(ReproduceTest, ALongRequestIsNotRecorded) {
  WarmStartRequest request;
  request.architecture = "NetB";
  request.sources.push_back({SavePartial(), ""});
  for (const size_t size : {kMaxRecordedRequest, kMaxRecordedRequest + 1}) {
    request.recorded = std::string(size, 'x');
    ASSERT_OK_AND_ASSIGN(const WarmStartResult result,
                         WarmStart(world_.context(), request));
    const Origin origin =
        OriginFromJson(result.checkpoint->origin_json).value();
    EXPECT_EQ(std::get<WarmStartOrigin>(origin).request.has_value(),
              size <= kMaxRecordedRequest);
  }
}

TEST_F(ReproduceTest, WhatADeviceThatIsNotHereMadeProvesAgreementAlone) {
  const std::string start = Start({}, {SavePartial()});
  const auto on_cuda = [&](bool altered) {
    return Altered(start, [&](store::NewCheckpoint& made) {
      Origin origin = OriginFromJson(made.origin_json).value();
      std::get<WarmStartOrigin>(origin).device = "cuda:99";
      made.origin_json = OriginToJson(origin);
      if (altered) made.manifest.entries[0].key = "other";
    });
  };
  const auto same = MustRun(on_cuda(false), {.direct = true});
  EXPECT_EQ(same[0].verdict, kAgrees);
  EXPECT_THAT(same[0].reason, HasSubstr("cuda:99"));
  const auto other = MustRun(on_cuda(true), {.direct = true});
  EXPECT_EQ(other[0].verdict, kCannot);
  EXPECT_THAT(other[0].reason, HasSubstr("other bits"));
  EXPECT_EQ(other[0].num_differing, 2);
}

TEST_F(ReproduceTest, InitialValuesAreMadeAgainToo) {
  Architecture schema = MakeSchema("stored", {{"a", {2}}});
  schema.entries[0].initializer = StoredInit{};
  const std::string keeper =
      world_.MustSave(MakeSafetensors({FloatTensor("a", {2})}));
  ASSERT_OK(world_.architectures().Register(schema, {keeper}));
  SaveModelRequest request;
  request.architecture = "stored";
  ASSERT_OK_AND_ASSIGN(const SaveModelResult saved, world_.Save({}, request));
  const auto results = MustRun(saved.checkpoint.name.ToString());
  ASSERT_THAT(results, SizeIs(2));
  EXPECT_EQ(results[0].verdict, kAgrees);
  EXPECT_EQ(results[1].checkpoint.ToString(), keeper);
}

TEST_F(ReproduceTest, NothingGoesOnForACallerThatHasGone) {
  cancelled_ = true;
  EXPECT_THAT(Run(SavePartial()), StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(ReproduceTest, TheNumberOfCheckpointsIsBounded) {
  const std::string start = Start({}, {SavePartial()});
  EXPECT_THAT(Run(start, {.max_checkpoints = 1}),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(ReproduceTest, WhatIsNotThereIsToldByItsField) {
  EXPECT_EQ(FieldOf(Run("").status()), "name");
  EXPECT_EQ(FieldOf(Run("NetA").status()), "name");
  EXPECT_THAT(Run(CheckpointName::Random().ToString()),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace warmstart::service
