#include "server/service/retention.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/service/warm_start.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::FakeClock;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

class RetentionTest : public ::testing::Test {
 protected:
  RetentionTest() {
    world_.context().log = [this](const std::string& line) {
      log_.push_back(line);
    };
  }

  absl::StatusOr<SaveModelResult> Save(const CheckpointOptions& options) {
    SaveModelRequest request;
    request.options = options;
    return world_.Save(
        {{"w.safetensors", MakeSafetensors({FloatTensor("w", {3}, seed_++)})}},
        request);
  }
  std::string MustSave(const CheckpointOptions& options) {
    const absl::StatusOr<SaveModelResult> saved = Save(options);
    EXPECT_OK(saved.status());
    return saved.ok() ? saved->checkpoint.name.ToString() : "";
  }

  void Keep(const std::string& rule) {
    rules_.push_back(store::RetentionRule::Parse(rule).value());
    world_.context().retention_rules = rules_;
  }

  std::vector<std::string> Apply(const RetentionRequest& request) {
    const absl::StatusOr<RetentionResult> result =
        ApplyRetention(world_.context(), request);
    EXPECT_OK(result.status());
    std::vector<std::string> names;
    if (!result.ok()) return names;
    for (const store::RetiredCheckpoint& retired : result->checkpoints) {
      names.push_back(retired.name.ToString());
    }
    return names;
  }

  FakeClock clock_;
  World world_{store::StoreOptions{.clock = &clock_}};
  std::vector<store::RetentionRule> rules_;
  std::vector<std::string> log_;
  int seed_ = 0;
};

TEST_F(RetentionTest, WhatExpiresGoesWhenItsTimeHasCome) {
  const std::string in_an_hour = MustSave({.expiration = absl::Hours(1)});
  const std::string then =
      MustSave({.expiration = clock_.Now() + absl::Hours(2)});
  const std::string stays = MustSave({});
  EXPECT_THAT(Apply({}), IsEmpty());
  clock_.Advance(absl::Hours(1));
  EXPECT_THAT(Apply({.validate_only = true}), ElementsAre(in_an_hour));
  EXPECT_EQ(world_.num_checkpoints(), 3);
  EXPECT_THAT(Apply({}), ElementsAre(in_an_hour));
  clock_.Advance(absl::Hours(1));
  EXPECT_THAT(Apply({}), ElementsAre(then));
  EXPECT_OK(world_.store().Resolve(stays));
  EXPECT_EQ(world_.num_checkpoints(), 1);
  EXPECT_THAT(
      log_, ElementsAre(absl::StrCat("deleted ", in_an_hour,
                                     ": expired at 2024-01-01T01:00:00+00:00"),
                        HasSubstr(then)));
}

TEST_F(RetentionTest, AnAliasedOneStaysUntilTheAliasMoves) {
  const std::string first =
      MustSave({.alias = "prod", .expiration = absl::Hours(1)});
  clock_.Advance(absl::Hours(2));
  EXPECT_THAT(Apply({}), IsEmpty());
  MustSave({.alias = "prod"});
  EXPECT_THAT(Apply({}), ElementsAre(first));
}

TEST_F(RetentionTest, RulesKeepTheNewest) {
  Keep("run:2");
  std::vector<std::string> names;
  for (const char* run : {"a", "b", "a", "a"}) {
    names.push_back(MustSave({.labels = {{"run", run}}}));
  }
  EXPECT_THAT(Apply({}), ElementsAre(names[0]));
  EXPECT_THAT(log_, ElementsAre(absl::StrCat("deleted ", names[0],
                                             ": newer ones are kept by "
                                             "run=a:2")));
}

TEST_F(RetentionTest, MoreThanIsAskedForStaysForTheNextTime) {
  for (int i = 0; i < 25; ++i) MustSave({.expiration = absl::Hours(1)});
  clock_.Advance(absl::Hours(1));
  ASSERT_OK_AND_ASSIGN(const RetentionResult some,
                       ApplyRetention(world_.context(), {.max_count = 3}));
  EXPECT_THAT(some.checkpoints, SizeIs(3));
  EXPECT_TRUE(some.has_more);
  EXPECT_THAT(ApplyRetentionToSome(world_.context()), IsOkAndHolds(true));
  EXPECT_THAT(ApplyRetentionToSome(world_.context()), IsOkAndHolds(false));
  EXPECT_EQ(world_.num_checkpoints(), 0);
  EXPECT_THAT(world_.Packs(), IsEmpty());
}

TEST_F(RetentionTest, AWarmStartExpiresAsWell) {
  const std::string source = MustSave({});
  ASSERT_OK(world_.store().PutArchitecture(MakeSchema("W", {{"w", {3}}})));
  WarmStartRequest request;
  request.architecture = "W";
  request.sources = {{.checkpoint = source}};
  request.options.expiration = absl::Minutes(5);
  ASSERT_OK_AND_ASSIGN(const WarmStartResult started,
                       WarmStart(world_.context(), request));
  EXPECT_EQ(started.checkpoint->expire_time, clock_.Now() + absl::Minutes(5));
  clock_.Advance(absl::Minutes(5));
  EXPECT_THAT(Apply({}), ElementsAre(started.checkpoint->name.ToString()));
  EXPECT_OK(world_.store().Resolve(source));
}

TEST_F(RetentionTest, TimesThatCannotBeAreRefused) {
  for (const store::Expiration& expiration : std::vector<store::Expiration>{
           clock_.Now(), clock_.Now() - absl::Hours(1), absl::ZeroDuration(),
           -absl::Hours(1), absl::FromUnixSeconds(1'000'000'000'000),
           absl::InfiniteDuration()}) {
    const absl::Status status = Save({.expiration = expiration}).status();
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_EQ(FieldOf(status), std::holds_alternative<absl::Time>(expiration)
                                   ? "expire_time"
                                   : "ttl");
  }
}

TEST_F(RetentionTest, ARetryOfAnExpiringSaveIsTheSameRequest) {
  const CheckpointOptions options = {.request_id = "r",
                                     .expiration = absl::Hours(1)};
  const std::string saved = MustSave(options);
  seed_ = 0;
  EXPECT_EQ(MustSave(options), saved);
  CheckpointOptions other = options;
  other.expiration = absl::Hours(2);
  EXPECT_EQ(ReasonOf(Save(other).status()), "REQUEST_ID_REUSED");
}

}  // namespace
}  // namespace warmstart::service
