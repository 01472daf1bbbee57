// What every Catalog does with checkpoints, aliases and requests: see
// catalog_fixture.h.

#ifndef WARMSTART_TESTS_STORE_CATALOG_CHECKPOINTS_CONTRACT_H_
#define WARMSTART_TESTS_STORE_CATALOG_CHECKPOINTS_CONTRACT_H_

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "tests/store/catalog_fixture.h"

namespace warmstart::store {

template <typename Backend>
class CatalogCheckpoints : public CatalogTest<Backend> {};

TYPED_TEST_SUITE_P(CatalogCheckpoints);

// A filter's architecture; none for "".
inline std::optional<ArchitectureName> NameOrNone(const std::string& name) {
  if (name.empty()) return std::nullopt;
  return MakeArchitectureName(name);
}

TYPED_TEST_P(CatalogCheckpoints, ACheckpointComesBackWithAllItsFields) {
  const Tensors tensors = {{"a", "11"}, {"b", "222"}, {"c", "11"}};
  NewCheckpoint request;
  request.architecture = MakeArchitectureName("NetA");
  request.labels = {{"team", "vision"}, {"run", ""}};
  request.report_json = "{\"summary\":\"ok\"}";
  request.origin_json = "{\"file\":\"a.pt\"}";
  request.alias = MakeAlias("resnet50/prod");
  ASSERT_OK_AND_ASSIGN(
      const CommitResult result,
      this->Commit("one", tensors, {this->PackOf('a', tensors)}, request));
  EXPECT_THAT(result.unused_packs, ::testing::IsEmpty());
  for (const bool reopened : {false, true}) {
    if (reopened) this->Reopen();
    ASSERT_OK_AND_ASSIGN(const Checkpoint read, this->catalog_->GetCheckpoint(
                                                    MakeCheckpointName("one")));
    for (const Checkpoint& checkpoint : {result.checkpoint, read}) {
      EXPECT_EQ(checkpoint.name.id(), "one");
      EXPECT_EQ(checkpoint.architecture, request.architecture);
      EXPECT_EQ(checkpoint.create_time, this->time_);
      EXPECT_EQ(checkpoint.labels, request.labels);
      EXPECT_THAT(checkpoint.aliases,
                  ::testing::ElementsAre(MakeAlias("resnet50/prod")));
      EXPECT_EQ(checkpoint.num_tensors, 3);
      EXPECT_EQ(checkpoint.num_bytes, 5);
      EXPECT_EQ(checkpoint.report_json, request.report_json);
      EXPECT_EQ(checkpoint.origin_json, request.origin_json);
    }
  }
}

TYPED_TEST_P(CatalogCheckpoints, AManifestComesBackAsItWas) {
  Manifest manifest = ManifestOf({{"emb.weight", "abcdefgh"},
                                  {"схема/\"quoted\"", "xy"},
                                  {"empty", ""},
                                  {"head.weight", "abcdefgh"}});
  manifest.entries[0].spec =
      TensorSpec::Create(DType::kBFloat16, Shape::Create({2, 2}).value())
          .value();
  manifest.entries[0].view =
      StorageView{.storage = 0, .offset = 1, .strides = {1, 2}};
  manifest.entries[1].spec =
      TensorSpec::Create(DType::kFloat16, Shape()).value();
  manifest.entries[1].view =
      StorageView{.storage = 1, .offset = 0, .strides = {}};
  manifest.entries[3].spec =
      TensorSpec::Create(DType::kFloat8E8M0FNU,
                         Shape::Create({1, 8, 1}).value())
          .value();
  manifest.storages = {{Digest::Of("abcdefgh"), 8}, {Digest::Of("xy"), 2}};
  manifest.subtrees = {"model", "model.inner"};
  manifest.module_versions = {{"", 1}, {"bn", 2}};
  manifest.metadata_json = "{\"epoch\": 3}";
  NewCheckpoint request;
  request.manifest = manifest;
  const std::vector<NewPack> packs = {
      this->PackOf('a', {{"", "abcdefgh"}, {"", "xy"}})};
  ASSERT_OK(this->catalog_->Commit(MakeCheckpointName("one"), this->time_,
                                   request, {.packs = packs}));
  EXPECT_THAT(this->catalog_->GetManifest(MakeCheckpointName("one")),
              testing::IsOkAndHolds(manifest));
  this->Reopen();
  EXPECT_THAT(this->catalog_->GetManifest(MakeCheckpointName("one")),
              testing::IsOkAndHolds(manifest));
}

TYPED_TEST_P(CatalogCheckpoints, WhatIsNotThereIsNotFound) {
  const CheckpointName name = MakeCheckpointName("none");
  const auto not_found = testing::StatusIs(absl::StatusCode::kNotFound);
  EXPECT_THAT(this->catalog_->CheckExists(name), not_found);
  EXPECT_THAT(this->catalog_->GetCheckpoint(name), not_found);
  EXPECT_THAT(this->catalog_->GetManifest(name), not_found);
  EXPECT_THAT(this->catalog_->UpdateCheckpoint(name, {}, this->time_),
              not_found);
  EXPECT_THAT(this->catalog_->DeleteCheckpoint(name, true), not_found);
  EXPECT_THAT(this->catalog_->SetAlias(MakeAlias("a"), name, this->time_),
              not_found);
  EXPECT_THAT(this->catalog_->ResolveAlias(MakeAlias("a")), not_found);
  EXPECT_THAT(this->catalog_->DeleteAlias(MakeAlias("a")), not_found);
  EXPECT_THAT(this->catalog_->GetArchitecture(MakeArchitectureName("a")),
              not_found);
  EXPECT_THAT(
      this->catalog_->DeleteArchitecture(MakeArchitectureName("a"), true),
      not_found);
  EXPECT_EQ(GetErrorInfo(this->catalog_->CheckExists(name))->reason,
            reason::kCheckpointNotFound);
}

TYPED_TEST_P(CatalogCheckpoints, LabelsAreReplaced) {
  this->CommitOne("one", {.labels = {{"a", "1"}, {"b", "2"}}});
  ASSERT_OK_AND_ASSIGN(
      const Checkpoint changed,
      this->catalog_->UpdateCheckpoint(
          MakeCheckpointName("one"), {.labels = Labels{{"b", "3"}, {"c", "4"}}},
          this->time_));
  EXPECT_EQ(changed.labels, (Labels{{"b", "3"}, {"c", "4"}}));
  EXPECT_EQ(this->catalog_->GetCheckpoint(MakeCheckpointName("one"))->labels,
            changed.labels);
  EXPECT_THAT(this->List({.labels = {{"a", "1"}}}, 9), ::testing::IsEmpty());
  EXPECT_THAT(this->List({.labels = {{"c", "4"}}}, 9),
              ::testing::ElementsAre("one"));
}

TYPED_TEST_P(CatalogCheckpoints, AliasesAreSetMovedAndDeleted) {
  this->CommitOne("one");
  this->CommitOne("two", {.alias = MakeAlias("b")});
  const AliasName a = MakeAlias("a");
  ASSERT_OK_AND_ASSIGN(
      const Alias set,
      this->catalog_->SetAlias(a, MakeCheckpointName("one"), this->time_));
  EXPECT_EQ(set.update_time, this->time_);
  EXPECT_THAT(this->catalog_->ResolveAlias(a),
              testing::IsOkAndHolds(MakeCheckpointName("one")));
  const absl::Time later = this->time_ + absl::Hours(1);
  ASSERT_OK(
      this->catalog_->SetAlias(a, MakeCheckpointName("two"), later).status());
  EXPECT_THAT(this->catalog_->ResolveAlias(a),
              testing::IsOkAndHolds(MakeCheckpointName("two")));
  EXPECT_THAT(this->catalog_->GetCheckpoint(MakeCheckpointName("two"))->aliases,
              ::testing::ElementsAre(a, MakeAlias("b")));
  ASSERT_OK_AND_ASSIGN(const std::vector<Alias> all,
                       this->catalog_->ListAliases("", 10));
  ASSERT_THAT(all, ::testing::SizeIs(2));
  EXPECT_EQ(all[0].name, a);
  EXPECT_EQ(all[0].checkpoint, MakeCheckpointName("two"));
  EXPECT_EQ(all[0].update_time, later);
  ASSERT_OK(this->catalog_->DeleteAlias(a));
  EXPECT_THAT(this->catalog_->ResolveAlias(a),
              testing::StatusIs(absl::StatusCode::kNotFound));
}

TYPED_TEST_P(CatalogCheckpoints, AliasesAreListedByNameAfterAName) {
  this->CommitOne("one");
  for (const char* name : {"b", "a/x", "a", "c"}) {
    ASSERT_OK(
        this->catalog_
            ->SetAlias(MakeAlias(name), MakeCheckpointName("one"), this->time_)
            .status());
  }
  ASSERT_OK_AND_ASSIGN(const std::vector<Alias> page,
                       this->catalog_->ListAliases("a", 2));
  ASSERT_THAT(page, ::testing::SizeIs(2));
  EXPECT_EQ(page[0].name.id(), "a/x");
  EXPECT_EQ(page[1].name.id(), "b");
}

TYPED_TEST_P(CatalogCheckpoints, ACommitMovesItsAlias) {
  this->CommitOne("one", {.alias = MakeAlias("prod")});
  this->CommitOne("two", {.alias = MakeAlias("prod")});
  EXPECT_THAT(this->catalog_->ResolveAlias(MakeAlias("prod")),
              testing::IsOkAndHolds(MakeCheckpointName("two")));
}

TYPED_TEST_P(CatalogCheckpoints, ARetriedRequestGetsTheFirstCheckpoint) {
  NewCheckpoint request;
  request.request_id = "r1";
  request.request_fingerprint = Digest::Of("contents");
  const Tensors tensors = {{"a", "11"}};
  ASSERT_OK(this->Commit("one", tensors, {this->PackOf('a', tensors)}, request)
                .status());
  const Tensors others = {{"a", "22"}};
  ASSERT_OK_AND_ASSIGN(
      const CommitResult again,
      this->Commit("two", others, {this->PackOf('b', others)}, request));
  EXPECT_EQ(again.checkpoint.name.id(), "one");
  EXPECT_THAT(again.unused_packs, ::testing::ElementsAre(PackId(32, 'b')));
  EXPECT_FALSE(this->Find("22").has_value());
  EXPECT_THAT(
      this->catalog_->FindRequest("r1", request.request_fingerprint),
      testing::IsOkAndHolds(::testing::Optional(MakeCheckpointName("one"))));
  EXPECT_THAT(this->catalog_->FindRequest("r2", request.request_fingerprint),
              testing::IsOkAndHolds(std::nullopt));
}

TYPED_TEST_P(CatalogCheckpoints, ARequestIdForAnotherRequestIsRefused) {
  NewCheckpoint request;
  request.request_id = "r1";
  request.request_fingerprint = Digest::Of("contents");
  this->CommitOne("one", request);
  request.request_fingerprint = Digest::Of("other contents");
  const absl::Status status = this->Commit("two", {}, {}, request).status();
  EXPECT_THAT(status, testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                        ::testing::HasSubstr("r1")));
  EXPECT_EQ(GetErrorInfo(status)->reason, reason::kRequestIdReused);
  EXPECT_THAT(this->catalog_->FindRequest("r1", request.request_fingerprint),
              testing::StatusIs(absl::StatusCode::kInvalidArgument));
}

TYPED_TEST_P(CatalogCheckpoints, RequestsWithoutAnIdAreAllDifferent) {
  this->CommitOne("one");
  this->CommitOne("two");
  EXPECT_THAT(this->catalog_->FindRequest("", Digest()),
              testing::IsOkAndHolds(std::nullopt));
  EXPECT_THAT(this->List({}, 9), ::testing::ElementsAre("two", "one"));
}

TYPED_TEST_P(CatalogCheckpoints, AnAliasedCheckpointIsDeletedByForceAlone) {
  this->CommitOne("one", {.alias = MakeAlias("prod")});
  ASSERT_OK(
      this->catalog_
          ->SetAlias(MakeAlias("best"), MakeCheckpointName("one"), this->time_)
          .status());
  const absl::Status status =
      this->catalog_->DeleteCheckpoint(MakeCheckpointName("one"), false)
          .status();
  EXPECT_THAT(status, testing::StatusIs(
                          absl::StatusCode::kFailedPrecondition,
                          ::testing::HasSubstr("aliases/best, aliases/prod")));
  EXPECT_EQ(GetErrorInfo(status)->reason, reason::kCheckpointInUse);
  ASSERT_OK(this->catalog_->CheckExists(MakeCheckpointName("one")));
  ASSERT_OK(this->catalog_->DeleteCheckpoint(MakeCheckpointName("one"), true)
                .status());
  EXPECT_THAT(this->catalog_->CheckExists(MakeCheckpointName("one")),
              testing::StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(this->catalog_->ListAliases("", 9),
              testing::IsOkAndHolds(::testing::IsEmpty()));
}

TYPED_TEST_P(CatalogCheckpoints, ADeletedCheckpointsRequestIsForgotten) {
  NewCheckpoint request;
  request.request_id = "r1";
  this->CommitOne("one", request);
  ASSERT_OK(this->catalog_->DeleteCheckpoint(MakeCheckpointName("one"), false)
                .status());
  EXPECT_THAT(this->catalog_->FindRequest("r1", Digest()),
              testing::IsOkAndHolds(std::nullopt));
  this->CommitOne("two", request);
}

TYPED_TEST_P(CatalogCheckpoints,
             ListingsAreNewestFirstAndSequencesNeverReused) {
  for (const char* name : {"one", "two", "three"}) this->CommitOne(name);
  EXPECT_THAT(this->List({}, 2), ::testing::ElementsAre("three", "two", "one"));
  const int64_t newest =
      this->catalog_->ListCheckpoints({}, Catalog::kNewest, 1)
          ->checkpoints.at(0)
          .sequence;
  ASSERT_OK(this->catalog_->DeleteCheckpoint(MakeCheckpointName("three"), false)
                .status());
  this->Reopen();
  this->CommitOne("four");
  EXPECT_GT(this->catalog_->ListCheckpoints({}, Catalog::kNewest, 1)
                ->checkpoints.at(0)
                .sequence,
            newest);
  EXPECT_THAT(this->List({}, 1), ::testing::ElementsAre("four", "two", "one"));
}

TYPED_TEST_P(CatalogCheckpoints, FiltersFindWhatASearchOfEverythingFinds) {
  // 200 checkpoints with random properties, and every combination of filters,
  // against a plain loop.
  struct Row {
    std::string id, architecture, alias;
    Labels labels;
  };
  std::mt19937 random(7);
  std::vector<Row> rows;
  for (int i = 0; i < 200; ++i) {
    Row row{.id = absl::StrCat("c", i)};
    row.architecture = random() % 2 == 0 ? "NetA" : "NetB";
    if (random() % 2 == 0) row.labels["team"] = "vision";
    if (random() % 8 == 0) row.labels["rare"] = "yes";
    if (random() % 4 == 0) {
      row.alias = absl::StrCat(random() % 2 == 0 ? "prod/" : "dev/", i);
    }
    NewCheckpoint request{
        .architecture = MakeArchitectureName(row.architecture),
        .labels = row.labels};
    if (!row.alias.empty()) request.alias = MakeAlias(row.alias);
    ASSERT_OK(this->Commit(row.id, {}, {}, request).status());
    rows.insert(rows.begin(), row);
  }
  const std::string some_alias =
      std::find_if(rows.begin(), rows.end(), [](const Row& row) {
        return !row.alias.empty();
      })->alias;
  const std::vector<std::pair<std::string, bool>> aliases = {
      {"", false}, {"", true},          {"prod/", true}, {"prod/1", true},
      {"x", true}, {some_alias, false}, {"prod/", false}};
  for (const std::string architecture : {"", "NetA", "NetB", "NetC"}) {
    for (const Labels& labels :
         std::vector<Labels>{{},
                             {{"team", "vision"}},
                             {{"rare", "yes"}},
                             {{"rare", "yes"}, {"team", "vision"}},
                             {{"rare", "no"}}}) {
      for (const auto& [alias, is_prefix] : aliases) {
        std::vector<std::string> expected;
        for (const Row& row : rows) {
          const bool has_labels = std::all_of(
              labels.begin(), labels.end(), [&row](const auto& label) {
                const auto found = row.labels.find(label.first);
                return found != row.labels.end() &&
                       found->second == label.second;
              });
          const bool has_alias =
              is_prefix
                  ? !row.alias.empty() && absl::StartsWith(row.alias, alias)
                  : alias.empty() || row.alias == alias;
          if ((architecture.empty() || row.architecture == architecture) &&
              has_labels && has_alias) {
            expected.push_back(row.id);
          }
        }
        EXPECT_EQ(this->List({.architecture = NameOrNone(architecture),
                              .labels = labels,
                              .alias = alias,
                              .alias_is_prefix = is_prefix},
                             7),
                  expected)
            << architecture << " " << alias << (is_prefix ? "*" : "");
      }
    }
  }
}

TYPED_TEST_P(CatalogCheckpoints,
             ACheckpointWithTwoMatchingAliasesIsListedOnce) {
  this->CommitOne("one", {.alias = MakeAlias("p/a")});
  ASSERT_OK(
      this->catalog_
          ->SetAlias(MakeAlias("p/b"), MakeCheckpointName("one"), this->time_)
          .status());
  for (const std::string prefix : {"", "p/"}) {
    EXPECT_THAT(this->List({.alias = prefix, .alias_is_prefix = true}, 9),
                ::testing::ElementsAre("one"));
  }
}

TYPED_TEST_P(CatalogCheckpoints, OneOfManyEqualRequestsWins) {
  constexpr int kThreads = 8;
  std::vector<std::string> names(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([this, i, &names] {
      NewCheckpoint request;
      request.request_id = "r1";
      const Tensors tensors = {{"a", absl::StrCat(i)}};
      const auto result =
          this->Commit(absl::StrCat("c", i), tensors,
                       {this->PackOf('a' + i, tensors)}, request);
      EXPECT_THAT(result, testing::IsOk());
      if (result.ok()) names[i] = result->checkpoint.name.id();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(names, ::testing::Each(names[0]));
  EXPECT_THAT(this->List({}, 9), ::testing::ElementsAre(names[0]));
  EXPECT_THAT(this->catalog_->ListPacks(),
              testing::IsOkAndHolds(::testing::SizeIs(1)));
}

REGISTER_TYPED_TEST_SUITE_P(
    CatalogCheckpoints, ACheckpointComesBackWithAllItsFields,
    AManifestComesBackAsItWas, WhatIsNotThereIsNotFound, LabelsAreReplaced,
    AliasesAreSetMovedAndDeleted, AliasesAreListedByNameAfterAName,
    ACommitMovesItsAlias, ARetriedRequestGetsTheFirstCheckpoint,
    ARequestIdForAnotherRequestIsRefused, RequestsWithoutAnIdAreAllDifferent,
    AnAliasedCheckpointIsDeletedByForceAlone,
    ADeletedCheckpointsRequestIsForgotten,
    ListingsAreNewestFirstAndSequencesNeverReused,
    FiltersFindWhatASearchOfEverythingFinds,
    ACheckpointWithTwoMatchingAliasesIsListedOnce, OneOfManyEqualRequestsWins);

}  // namespace warmstart::store

#endif  // WARMSTART_TESTS_STORE_CATALOG_CHECKPOINTS_CONTRACT_H_
