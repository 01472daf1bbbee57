// What every Catalog does with expiration, retention and its usage: see
// catalog_fixture.h.

#ifndef WARMSTART_TESTS_STORE_CATALOG_RETENTION_CONTRACT_H_
#define WARMSTART_TESTS_STORE_CATALOG_RETENTION_CONTRACT_H_

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/store/catalog_fixture.h"

namespace warmstart::store {

template <typename Backend>
class CatalogRetention : public CatalogTest<Backend> {
 protected:
  RetentionPolicy Policy(absl::Duration later,
                         const std::vector<std::string>& rules = {}) const {
    RetentionPolicy policy{.now = this->time_ + later};
    for (const std::string& rule : rules) {
      policy.rules.push_back(RetentionRule::Parse(rule).value());
    }
    return policy;
  }

  // "id: rule" or "id: expired", oldest first.
  std::vector<std::string> Retired(const RetentionPolicy& policy,
                                   int limit = 1000) {
    const auto retired = this->catalog_->FindRetired(policy, limit);
    EXPECT_THAT(retired, testing::IsOk());
    std::vector<std::string> lines;
    if (!retired.ok()) return lines;
    for (const RetiredCheckpoint& each : *retired) {
      lines.push_back(
          absl::StrCat(each.name.id(), ": ",
                       each.expire_time.has_value() ? "expired" : each.rule));
    }
    return lines;
  }

  absl::StatusOr<std::optional<RemovedCheckpoint>> Delete(
      const std::string& name, const RetentionPolicy& policy) {
    return this->catalog_->DeleteRetired(MakeCheckpointName(name), policy);
  }

  // An architecture that begins with the values of a checkpoint.
  void BeginWith(const std::string& name) {
    Architecture architecture = MakeArchitecture("Begins", 3);
    architecture.initial_values = MakeCheckpointName(name);
    ASSERT_OK(this->catalog_->PutArchitecture(architecture).status());
  }

  static StoreUsage UsageOf(Catalog& catalog) {
    return catalog.quota().usage();
  }

  // Whether what was counted is what a start counts.
  void CheckUsage() {
    const StoreUsage counted = UsageOf(*this->catalog_);
    this->Reopen();
    const StoreUsage measured = UsageOf(*this->catalog_);
    EXPECT_EQ(counted.stored_bytes, measured.stored_bytes);
    EXPECT_EQ(counted.num_checkpoints, measured.num_checkpoints);
    EXPECT_EQ(counted.receiving_bytes, 0);
  }
};

TYPED_TEST_SUITE_P(CatalogRetention);

TYPED_TEST_P(CatalogRetention, AnExpireTimeComesBackAndIsChanged) {
  const absl::Time then = this->time_ + absl::Hours(1);
  this->CommitOne("at", {.expiration = then});
  this->CommitOne("after", {.expiration = absl::Hours(1)});
  this->CommitOne("never");
  const auto expire_time = [&](const std::string& name) {
    return this->catalog_->GetCheckpoint(MakeCheckpointName(name))->expire_time;
  };
  EXPECT_EQ(expire_time("at"), then);
  EXPECT_EQ(expire_time("after"), then);
  EXPECT_EQ(expire_time("never"), std::nullopt);
  this->Reopen();
  EXPECT_EQ(expire_time("at"), then);

  ASSERT_OK_AND_ASSIGN(
      const Checkpoint cleared,
      this->catalog_->UpdateCheckpoint(
          MakeCheckpointName("at"), {.expiration = Expiration()}, this->time_));
  EXPECT_EQ(cleared.expire_time, std::nullopt);
  ASSERT_OK_AND_ASSIGN(
      const Checkpoint both,
      this->catalog_->UpdateCheckpoint(
          MakeCheckpointName("never"),
          {.labels = Labels{{"a", "1"}}, .expiration = absl::Minutes(1)},
          then));
  EXPECT_EQ(both.expire_time, then + absl::Minutes(1));
  EXPECT_EQ(both.labels, (Labels{{"a", "1"}}));
  ASSERT_OK(this->catalog_
                ->UpdateCheckpoint(MakeCheckpointName("never"),
                                   {.labels = Labels()}, then)
                .status());
  EXPECT_EQ(expire_time("never"), then + absl::Minutes(1));
}

TYPED_TEST_P(CatalogRetention, WhatHasExpiredIsFoundAndDeleted) {
  this->CommitOne("soon", {.expiration = absl::Hours(1)});
  this->CommitOne("later", {.expiration = absl::Hours(2)});
  this->CommitOne("never");
  EXPECT_THAT(this->Retired(this->Policy(absl::Minutes(59))),
              ::testing::IsEmpty());
  const RetentionPolicy policy = this->Policy(absl::Hours(1));
  EXPECT_THAT(this->Retired(policy), ::testing::ElementsAre("soon: expired"));
  ASSERT_OK_AND_ASSIGN(const auto removed, this->Delete("soon", policy));
  ASSERT_TRUE(removed.has_value());
  EXPECT_EQ(removed->checkpoint.expire_time, this->time_ + absl::Hours(1));
  EXPECT_EQ(removed->checkpoint.create_time, this->time_);
  EXPECT_THAT(removed->unused_packs, ::testing::SizeIs(1));
  EXPECT_THAT(this->List({}, 9), ::testing::ElementsAre("never", "later"));
}

TYPED_TEST_P(CatalogRetention, WhatIsNotToGoIsNotDeleted) {
  this->CommitOne("one", {.expiration = absl::Hours(1)});
  const RetentionPolicy policy = this->Policy(absl::Hours(1));
  ASSERT_THAT(this->Retired(policy), ::testing::SizeIs(1));
  // Somebody keeps it between its being found and its deletion.
  ASSERT_OK(this->catalog_
                ->UpdateCheckpoint(MakeCheckpointName("one"),
                                   {.expiration = Expiration()}, this->time_)
                .status());
  EXPECT_THAT(this->Delete("one", policy),
              testing::IsOkAndHolds(::testing::Eq(std::nullopt)));
  EXPECT_THAT(this->Delete("gone", policy),
              testing::IsOkAndHolds(::testing::Eq(std::nullopt)));
  EXPECT_THAT(this->List({}, 9), ::testing::ElementsAre("one"));
}

TYPED_TEST_P(CatalogRetention, AnAliasProtectsForAsLongAsItIsThere) {
  const RetentionPolicy policy = this->Policy(absl::Hours(1), {"run=1:1"});
  this->CommitOne("expired",
                  {.alias = MakeAlias("a"), .expiration = absl::Hours(1)});
  this->CommitOne("old", {.labels = {{"run", "1"}}, .alias = MakeAlias("b")});
  this->CommitOne("new", {.labels = {{"run", "1"}}});
  EXPECT_THAT(this->Retired(policy), ::testing::IsEmpty());
  EXPECT_THAT(this->Delete("expired", policy),
              testing::IsOkAndHolds(::testing::Eq(std::nullopt)));
  EXPECT_THAT(this->Delete("old", policy),
              testing::IsOkAndHolds(::testing::Eq(std::nullopt)));
  ASSERT_OK(this->catalog_->DeleteAlias(MakeAlias("a")));
  ASSERT_OK(this->catalog_->DeleteAlias(MakeAlias("b")));
  EXPECT_THAT(this->Retired(policy),
              ::testing::ElementsAre("expired: expired", "old: run=1:1"));
}

TYPED_TEST_P(CatalogRetention, AnArchitectureProtectsItsInitialValues) {
  this->CommitOne("values", {.expiration = absl::Hours(1)});
  this->BeginWith("values");
  const RetentionPolicy policy = this->Policy(absl::Hours(1));
  EXPECT_THAT(this->Retired(policy), ::testing::IsEmpty());
  EXPECT_THAT(this->Delete("values", policy),
              testing::IsOkAndHolds(::testing::Eq(std::nullopt)));
  ASSERT_OK(
      this->catalog_->DeleteArchitecture(MakeArchitectureName("Begins"), true));
  EXPECT_THAT(this->Retired(policy), ::testing::SizeIs(1));
}

TYPED_TEST_P(CatalogRetention, TheNewestOfASelectorStay) {
  for (const char* name : {"a1", "b1", "a2", "a3", "b2"}) {
    this->CommitOne(
        name, {.labels = {{"run", std::string(1, name[0])}, {"stage", "dev"}}});
  }
  this->CommitOne("prod", {.labels = {{"run", "a"}, {"stage", "prod"}}});
  this->CommitOne("other");
  const absl::Duration now;
  EXPECT_THAT(this->Retired(this->Policy(now, {"run=a,stage=dev:2"})),
              ::testing::ElementsAre("a1: run=a,stage=dev:2"));
  EXPECT_THAT(this->Retired(this->Policy(now, {"run=a:2"})),
              ::testing::ElementsAre("a1: run=a:2", "a2: run=a:2"));
  EXPECT_THAT(this->Retired(this->Policy(now, {"run:1"})),
              ::testing::ElementsAre("a1: run=a:1", "b1: run=b:1",
                                     "a2: run=a:1", "a3: run=a:1"));
  EXPECT_THAT(
      this->Retired(this->Policy(now, {"stage=dev,run:1"})),
      ::testing::ElementsAre("a1: run=a,stage=dev:1", "b1: run=b,stage=dev:1",
                             "a2: run=a,stage=dev:1"));
  EXPECT_THAT(this->Retired(this->Policy(now, {"run=c:1", "none:1"})),
              ::testing::IsEmpty());
  EXPECT_THAT(this->Retired(this->Policy(now, {"run:1"}), /*limit=*/2),
              ::testing::SizeIs(2));
}

TYPED_TEST_P(CatalogRetention, WhatOneRuleKeepsStays) {
  for (const char* name : {"1", "2", "3"}) {
    this->CommitOne(name, {.labels = {{"run", "a"}, {"number", name}}});
  }
  EXPECT_THAT(this->Retired(this->Policy({}, {"run:1", "number=1:1"})),
              ::testing::ElementsAre("2: run=a:1"));
  // A time that has come is stronger.
  ASSERT_OK(this->catalog_
                ->UpdateCheckpoint(MakeCheckpointName("1"),
                                   {.expiration = absl::Seconds(1)},
                                   this->time_)
                .status());
  EXPECT_THAT(
      this->Retired(this->Policy(absl::Seconds(1), {"run:1", "number=1:1"})),
      ::testing::ElementsAre("1: expired", "2: run=a:1"));
}

TYPED_TEST_P(CatalogRetention, UsageIsWhatAStartMeasures) {
  std::mt19937 random(7);
  std::vector<std::string> names;
  for (int step = 0; step < 60; ++step) {
    const std::string name = absl::StrCat("c", step);
    // Few values, so that blobs are shared, unused packs come and go.
    const Tensors tensors = {{"a", std::string(1 + random() % 5, 'a')},
                             {"b", std::string(random() % 3, 'b')}};
    switch (names.empty() ? 0 : random() % 4) {
      case 0:
        ASSERT_OK(this->CommitSmall(name, tensors).status());
        names.push_back(name);
        break;
      case 1: {
        NewPack pack = this->PackOf('0', tensors);
        pack.id = RandomId();
        ASSERT_OK(this->Commit(name, tensors, {pack}).status());
        names.push_back(name);
        break;
      }
      case 2: {
        // Of a blob that is not there: nothing of it may be counted.
        NewPack pack = this->PackOf('0', tensors);
        pack.id = RandomId();
        EXPECT_THAT(this->Commit(name, {tensors[0], {"none", "none"}}, {pack}),
                    testing::StatusIs(absl::StatusCode::kAborted));
        break;
      }
      default: {
        const size_t which = random() % names.size();
        ASSERT_OK(
            this->catalog_
                ->DeleteCheckpoint(MakeCheckpointName(names[which]), false)
                .status());
        names.erase(names.begin() + which);
      }
    }
    EXPECT_EQ(this->UsageOf(*this->catalog_).num_checkpoints, names.size());
    if (step % 10 == 9) this->CheckUsage();
  }
  for (const std::string& name : names) {
    ASSERT_OK(this->catalog_->DeleteCheckpoint(MakeCheckpointName(name), false)
                  .status());
  }
  EXPECT_EQ(this->UsageOf(*this->catalog_).stored_bytes, 0);
}

REGISTER_TYPED_TEST_SUITE_P(CatalogRetention, AnExpireTimeComesBackAndIsChanged,
                            WhatHasExpiredIsFoundAndDeleted,
                            WhatIsNotToGoIsNotDeleted,
                            AnAliasProtectsForAsLongAsItIsThere,
                            AnArchitectureProtectsItsInitialValues,
                            TheNewestOfASelectorStay, WhatOneRuleKeepsStays,
                            UsageIsWhatAStartMeasures);

}  // namespace warmstart::store

#endif  // WARMSTART_TESTS_STORE_CATALOG_RETENTION_CONTRACT_H_
