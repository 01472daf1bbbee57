// What every Catalog does. A backend runs it by a traits type:
//
//   struct SqliteBackend {
//     // As after a start; may be called again once the last one is gone.
//     std::unique_ptr<Catalog> Open();
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, CatalogContract, SqliteBackend);

#ifndef WARMSTART_TESTS_STORE_CATALOG_CONTRACT_H_
#define WARMSTART_TESTS_STORE_CATALOG_CONTRACT_H_

#include <map>
#include <memory>
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
#include "server/store/catalog.h"
#include "server/store/random_id.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::store {

template <typename Backend>
class CatalogContract : public ::testing::Test {
 protected:
  void Reopen() {
    catalog_.reset();
    catalog_ = backend_.Open();
  }

  // A pack of these tensors, one after another, with a name from `name`.
  static NewPack PackOf(char name, const Tensors& tensors) {
    NewPack pack{.id = PackId(32, name)};
    for (const auto& [key, bytes] : tensors) {
      pack.blobs.push_back({BlobOf(bytes), pack.num_bytes});
      pack.num_bytes += static_cast<int64_t>(bytes.size());
    }
    return pack;
  }

  // Commits a checkpoint whose tensors the catalog is to keep itself.
  absl::StatusOr<CommitResult> CommitSmall(const std::string& name,
                                           const Tensors& tensors) {
    NewCheckpoint request;
    request.manifest = ManifestOf(tensors);
    NewBlobs blobs;
    for (const auto& [key, bytes] : tensors) {
      blobs.small.push_back({BlobOf(bytes), bytes});
    }
    return catalog_->Commit(MakeCheckpointName(name), time_, request, blobs);
  }

  absl::StatusOr<CommitResult> Commit(const std::string& name,
                                      const Tensors& tensors,
                                      const std::vector<NewPack>& packs,
                                      NewCheckpoint request = {}) {
    request.manifest = ManifestOf(tensors);
    return catalog_->Commit(MakeCheckpointName(name), time_, request,
                            {.packs = packs});
  }

  // Commits a checkpoint of one tensor, "w", whose pack's name is from `name`.
  void CommitOne(const std::string& name, NewCheckpoint request = {}) {
    const Tensors tensors = {{"w", name}};
    NewPack pack = PackOf('0', tensors);
    pack.id = RandomId();
    ASSERT_OK(Commit(name, tensors, {pack}, std::move(request)).status());
  }

  std::optional<BlobLocation> Find(absl::string_view bytes) {
    const Digest digest = Digest::Of(bytes);
    return catalog_->FindBlobs({&digest, 1}).value()[0];
  }

  // The ids of a listing, a page of `limit` at a time.
  std::vector<std::string> List(const CheckpointFilter& filter, int limit) {
    std::vector<std::string> ids;
    int64_t before = Catalog::kNewest;
    while (true) {
      const auto page = catalog_->ListCheckpoints(filter, before, limit);
      EXPECT_THAT(page, testing::IsOk());
      if (!page.ok() || page->empty()) return ids;
      for (const ListedCheckpoint& row : *page) {
        EXPECT_LT(row.sequence, before);
        before = row.sequence;
        ids.push_back(row.checkpoint.name.id());
      }
    }
  }

  const absl::Time time_ = absl::FromUnixNanos(1700000000123456789);
  Backend backend_;
  std::unique_ptr<Catalog> catalog_ = backend_.Open();
};

TYPED_TEST_SUITE_P(CatalogContract);

TYPED_TEST_P(CatalogContract, ACheckpointComesBackWithAllItsFields) {
  const Tensors tensors = {{"a", "11"}, {"b", "222"}, {"c", "11"}};
  NewCheckpoint request;
  request.architecture = "NetA";
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
      EXPECT_EQ(checkpoint.architecture, "NetA");
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

TYPED_TEST_P(CatalogContract, AManifestComesBackAsItWas) {
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

TYPED_TEST_P(CatalogContract, AManifestOfAnyLengthComesBackInItsOrder) {
  ASSERT_OK(this->CommitSmall("tensor", {{"w", "1"}}).status());
  for (const int length : {1, 15, 16, 17, 100}) {
    NewCheckpoint request;
    for (int i = 0; i < length; ++i) {
      ManifestEntry entry = ManifestOf({{"w", "1"}}).entries[0];
      entry.key = absl::StrCat("w", (i * 7) % 101);
      request.manifest.entries.push_back(entry);
      request.manifest.module_versions.push_back({entry.key, i});
    }
    const CheckpointName name = MakeCheckpointName(absl::StrCat("of-", length));
    ASSERT_OK(this->catalog_->Commit(name, this->time_, request, {}).status());
    EXPECT_THAT(this->catalog_->GetManifest(name),
                testing::IsOkAndHolds(request.manifest));
  }
}

TYPED_TEST_P(CatalogContract, AnEmptyManifestIsAllowed) {
  ASSERT_OK_AND_ASSIGN(const CommitResult result, this->Commit("one", {}, {}));
  EXPECT_EQ(result.checkpoint.num_tensors, 0);
  EXPECT_THAT(this->catalog_->GetManifest(MakeCheckpointName("one")),
              testing::IsOkAndHolds(Manifest()));
}

TYPED_TEST_P(CatalogContract, BlobsAreFoundWhereTheyLie) {
  const Tensors tensors = {{"a", "11"}, {"b", "222"}};
  ASSERT_OK(
      this->Commit("one", tensors, {this->PackOf('a', tensors)}).status());
  const auto location = this->Find("222");
  ASSERT_TRUE(location.has_value());
  EXPECT_EQ(location->pack, PackId(32, 'a'));
  EXPECT_EQ(location->offset, 2);
  EXPECT_EQ(location->blob.digest, Digest::Of("222"));
  EXPECT_EQ(location->blob.num_bytes, 3);
  EXPECT_EQ(location->blob.crc32, BlobOf("222").crc32);
  EXPECT_FALSE(this->Find("333").has_value());
  const std::vector<Digest> digests = {Digest::Of("333"), Digest::Of("11")};
  ASSERT_OK_AND_ASSIGN(const auto both, this->catalog_->FindBlobs(digests));
  EXPECT_FALSE(both[0].has_value());
  EXPECT_TRUE(both[1].has_value());
}

TYPED_TEST_P(CatalogContract, TheEmptyBlobIsAlwaysThere) {
  ASSERT_TRUE(this->Find("").has_value());
  EXPECT_EQ(this->Find("")->pack, "");
  ASSERT_OK(this->Commit("one", {{"empty", ""}}, {}).status());
  EXPECT_THAT(
      this->catalog_->DeleteCheckpoint(MakeCheckpointName("one"), false),
      testing::IsOkAndHolds(::testing::IsEmpty()));
  EXPECT_TRUE(this->Find("").has_value());
}

TYPED_TEST_P(CatalogContract, AKnownBlobStaysWhereItWas) {
  const Tensors old = {{"a", "11"}};
  ASSERT_OK(this->Commit("one", old, {this->PackOf('a', old)}).status());
  const Tensors both = {{"b", "222"}, {"a", "11"}};
  ASSERT_OK_AND_ASSIGN(const CommitResult result,
                       this->Commit("two", both, {this->PackOf('b', both)}));
  EXPECT_THAT(result.unused_packs, ::testing::IsEmpty());
  EXPECT_EQ(this->Find("11")->pack, PackId(32, 'a'));
  EXPECT_EQ(this->Find("222")->pack, PackId(32, 'b'));
}

TYPED_TEST_P(CatalogContract, APackThatBringsNothingNewIsUnused) {
  const Tensors tensors = {{"a", "11"}};
  ASSERT_OK(
      this->Commit("one", tensors, {this->PackOf('a', tensors)}).status());
  ASSERT_OK_AND_ASSIGN(
      const CommitResult result,
      this->Commit("two", tensors, {this->PackOf('b', tensors)}));
  EXPECT_THAT(result.unused_packs, ::testing::ElementsAre(PackId(32, 'b')));
  EXPECT_THAT(this->catalog_->ListPacks(),
              testing::IsOkAndHolds(::testing::ElementsAre(PackId(32, 'a'))));
}

TYPED_TEST_P(CatalogContract, ABlobThatTheManifestDoesNotNeedIsNotRecorded) {
  ASSERT_OK(this->Commit("one", {{"a", "11"}},
                         {this->PackOf('a', {{"a", "11"}, {"b", "222"}})})
                .status());
  EXPECT_FALSE(this->Find("222").has_value());
  ASSERT_OK_AND_ASSIGN(
      const CommitResult result,
      this->Commit("two", {{"a", "11"}}, {this->PackOf('b', {{"b", "222"}})}));
  EXPECT_THAT(result.unused_packs, ::testing::ElementsAre(PackId(32, 'b')));
}

TYPED_TEST_P(CatalogContract, ASmallBlobIsKeptAndReadBack) {
  const std::string bytes("\0\xFF'x", 4);
  ASSERT_OK(this->CommitSmall("one", {{"a", bytes}, {"b", "11"}}).status());
  for (const bool reopened : {false, true}) {
    if (reopened) this->Reopen();
    EXPECT_THAT(this->catalog_->ReadBlob(Digest::Of(bytes)),
                testing::IsOkAndHolds(bytes));
    const auto location = this->Find(bytes);
    ASSERT_TRUE(location.has_value());
    EXPECT_EQ(location->pack, "");
    EXPECT_EQ(location->blob.num_bytes, 4);
    EXPECT_EQ(location->blob.crc32, BlobOf(bytes).crc32);
  }
  EXPECT_THAT(this->catalog_->ListPacks(),
              testing::IsOkAndHolds(::testing::IsEmpty()));
  EXPECT_THAT(this->catalog_->ReadBlob(Digest::Of("not there")),
              testing::StatusIs(absl::StatusCode::kNotFound));
}

TYPED_TEST_P(CatalogContract, ASmallBlobThatTheManifestDoesNotNeedIsNotKept) {
  NewCheckpoint request;
  request.manifest = ManifestOf({{"a", "11"}});
  ASSERT_OK(this->catalog_->Commit(
      MakeCheckpointName("one"), this->time_, request,
      {.small = {{BlobOf("11"), "11"}, {BlobOf("222"), "222"}}}));
  EXPECT_FALSE(this->Find("222").has_value());
}

TYPED_TEST_P(CatalogContract, ABlobIsKeptOnceInThePlaceWhereItCameFirst) {
  const Tensors small = {{"a", "11"}};
  const Tensors packed = {{"b", "222"}};
  ASSERT_OK(this->CommitSmall("small", small).status());
  ASSERT_OK(
      this->Commit("packed", packed, {this->PackOf('b', packed)}).status());

  // A pack that brings what the catalog keeps, and the other way round.
  ASSERT_OK_AND_ASSIGN(const CommitResult result,
                       this->Commit("two", small, {this->PackOf('a', small)}));
  EXPECT_THAT(result.unused_packs, ::testing::ElementsAre(PackId(32, 'a')));
  EXPECT_EQ(this->Find("11")->pack, "");
  ASSERT_OK(this->CommitSmall("three", packed).status());
  EXPECT_EQ(this->Find("222")->pack, PackId(32, 'b'));

  // It stays for as long as anybody needs it, and then can come in the other
  // place.
  for (const char* name : {"small", "packed"}) {
    ASSERT_OK(this->catalog_->DeleteCheckpoint(MakeCheckpointName(name), false)
                  .status());
  }
  EXPECT_THAT(this->catalog_->ReadBlob(Digest::Of("11")),
              testing::IsOkAndHolds("11"));
  EXPECT_THAT(
      this->catalog_->DeleteCheckpoint(MakeCheckpointName("two"), false),
      testing::IsOkAndHolds(::testing::IsEmpty()));
  EXPECT_THAT(
      this->catalog_->DeleteCheckpoint(MakeCheckpointName("three"), false),
      testing::IsOkAndHolds(::testing::ElementsAre(PackId(32, 'b'))));
  EXPECT_FALSE(this->Find("11").has_value());
  EXPECT_THAT(this->catalog_->ReadBlob(Digest::Of("11")),
              testing::StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK(this->Commit("four", small, {this->PackOf('a', small)}).status());
  EXPECT_EQ(this->Find("11")->pack, PackId(32, 'a'));
  ASSERT_OK(this->CommitSmall("five", packed).status());
  EXPECT_THAT(this->catalog_->ReadBlob(Digest::Of("222")),
              testing::IsOkAndHolds("222"));
}

TYPED_TEST_P(CatalogContract, AMissingBlobIsAbortedAndChangesNothing) {
  NewCheckpoint request;
  request.alias = MakeAlias("prod");
  request.request_id = "r1";
  const absl::Status status =
      this->Commit("one", {{"a", "11"}, {"b", "222"}},
                   {this->PackOf('a', {{"a", "11"}})}, request)
          .status();
  EXPECT_THAT(status, testing::StatusIs(absl::StatusCode::kAborted,
                                        ::testing::HasSubstr("'b'")));
  EXPECT_EQ(GetErrorInfo(status)->reason, reason::kSourceDeleted);
  EXPECT_FALSE(this->Find("11").has_value());
  EXPECT_THAT(this->catalog_->ListPacks(),
              testing::IsOkAndHolds(::testing::IsEmpty()));
  EXPECT_THAT(this->catalog_->ResolveAlias(MakeAlias("prod")),
              testing::StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(this->catalog_->FindRequest("r1", Digest()),
              testing::IsOkAndHolds(std::nullopt));
  EXPECT_THAT(this->List({}, 10), ::testing::IsEmpty());
}

// What a catalog remembers of blobs must not outlive them.
TYPED_TEST_P(CatalogContract, ABlobThatIsGoneIsMissedHoweverOftenItWasNamed) {
  const Tensors tensors = {{"a", "11"}, {"b", "222"}};
  ASSERT_OK(this->CommitSmall("one", tensors).status());
  ASSERT_OK(this->Commit("two", tensors, {}).status());
  ASSERT_OK(this->Commit("three", tensors, {}).status());
  for (const char* name : {"one", "two", "three"}) {
    ASSERT_OK(this->catalog_->DeleteCheckpoint(MakeCheckpointName(name), false)
                  .status());
  }
  // Another one has the row that one of them had.
  ASSERT_OK(this->CommitSmall("other", {{"c", "33"}}).status());
  EXPECT_THAT(this->Commit("four", tensors, {}),
              testing::StatusIs(absl::StatusCode::kAborted));
  ASSERT_OK(this->CommitSmall("five", tensors).status());
  EXPECT_THAT(this->catalog_->ReadBlob(Digest::Of("11")),
              testing::IsOkAndHolds("11"));
}

TYPED_TEST_P(CatalogContract, ABlobOfACommitThatFailedIsMissed) {
  const Tensors tensors = {{"a", "11"}};
  NewCheckpoint request;
  request.manifest = ManifestOf(tensors);
  const NewBlobs blobs = {.small = {{BlobOf("11"), "11"}}};
  EXPECT_THAT(this->catalog_->Commit(
                  MakeCheckpointName("one"), this->time_, request, blobs,
                  [] { return absl::InternalError("no disk"); }),
              testing::StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(this->Commit("two", tensors, {}),
              testing::StatusIs(absl::StatusCode::kAborted));
}

TYPED_TEST_P(CatalogContract, AManifestThatContradictsItsBlobsIsRefused) {
  const std::vector<NewPack> packs = {this->PackOf('a', {{"a", "1111"}})};
  const auto refused = testing::StatusIs(absl::StatusCode::kInvalidArgument);
  NewCheckpoint wrong_size;
  wrong_size.manifest = ManifestOf({{"a", "1111"}});
  wrong_size.manifest.entries[0].spec =
      TensorSpec::Create(DType::kFloat32, Shape::Create({2}).value()).value();
  NewCheckpoint wrong_storage_size;
  wrong_storage_size.manifest.storages = {{Digest::Of("1111"), 5}};
  NewCheckpoint no_storage;
  no_storage.manifest = ManifestOf({{"a", "1111"}});
  no_storage.manifest.entries[0].view = StorageView{.strides = {1}};
  NewCheckpoint wrong_rank = no_storage;
  wrong_rank.manifest.storages = {{Digest::Of("1111"), 4}};
  wrong_rank.manifest.entries[0].view->strides = {1, 1};
  for (const NewCheckpoint& request :
       {wrong_size, wrong_storage_size, no_storage, wrong_rank}) {
    EXPECT_THAT(this->catalog_->Commit(MakeCheckpointName("one"), this->time_,
                                       request, {.packs = packs}),
                refused);
  }
  EXPECT_THAT(this->catalog_->ListPacks(),
              testing::IsOkAndHolds(::testing::IsEmpty()));
}

TYPED_TEST_P(CatalogContract, WhatIsNotThereIsNotFound) {
  const CheckpointName name = MakeCheckpointName("none");
  const auto not_found = testing::StatusIs(absl::StatusCode::kNotFound);
  EXPECT_THAT(this->catalog_->CheckExists(name), not_found);
  EXPECT_THAT(this->catalog_->GetCheckpoint(name), not_found);
  EXPECT_THAT(this->catalog_->GetManifest(name), not_found);
  EXPECT_THAT(this->catalog_->SetLabels(name, {}), not_found);
  EXPECT_THAT(this->catalog_->DeleteCheckpoint(name, true), not_found);
  EXPECT_THAT(this->catalog_->SetAlias(MakeAlias("a"), name, this->time_),
              not_found);
  EXPECT_THAT(this->catalog_->ResolveAlias(MakeAlias("a")), not_found);
  EXPECT_THAT(this->catalog_->DeleteAlias(MakeAlias("a")), not_found);
  EXPECT_THAT(this->catalog_->GetArchitecture("a"), not_found);
  EXPECT_THAT(this->catalog_->DeleteArchitecture("a", true), not_found);
  EXPECT_EQ(GetErrorInfo(this->catalog_->CheckExists(name))->reason,
            reason::kCheckpointNotFound);
}

TYPED_TEST_P(CatalogContract, LabelsAreReplaced) {
  this->CommitOne("one", {.labels = {{"a", "1"}, {"b", "2"}}});
  ASSERT_OK_AND_ASSIGN(const Checkpoint changed,
                       this->catalog_->SetLabels(MakeCheckpointName("one"),
                                                 {{"b", "3"}, {"c", "4"}}));
  EXPECT_EQ(changed.labels, (Labels{{"b", "3"}, {"c", "4"}}));
  EXPECT_EQ(this->catalog_->GetCheckpoint(MakeCheckpointName("one"))->labels,
            changed.labels);
  EXPECT_THAT(this->List({.labels = {{"a", "1"}}}, 9), ::testing::IsEmpty());
  EXPECT_THAT(this->List({.labels = {{"c", "4"}}}, 9),
              ::testing::ElementsAre("one"));
}

TYPED_TEST_P(CatalogContract, AliasesAreSetMovedAndDeleted) {
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

TYPED_TEST_P(CatalogContract, AliasesAreListedByNameAfterAName) {
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

TYPED_TEST_P(CatalogContract, ACommitWhosePacksDoNotLastDidNotHappen) {
  const Tensors tensors = {{"a", "11"}};
  NewCheckpoint request;
  request.manifest = ManifestOf({{"a", "11"}, {"b", "222"}});
  EXPECT_THAT(
      this->catalog_->Commit(MakeCheckpointName("one"), this->time_, request,
                             {.packs = {this->PackOf('a', tensors)},
                              .small = {{BlobOf("222"), "222"}}},
                             [] { return absl::InternalError("no sync"); }),
      testing::StatusIs(absl::StatusCode::kInternal,
                        ::testing::HasSubstr("no sync")));
  EXPECT_THAT(this->catalog_->ReadBlob(Digest::Of("222")),
              testing::StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(this->catalog_->CheckExists(MakeCheckpointName("one")),
              testing::StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(this->catalog_->ListPacks(),
              testing::IsOkAndHolds(::testing::IsEmpty()));
}

TYPED_TEST_P(CatalogContract, ACommitMovesItsAlias) {
  this->CommitOne("one", {.alias = MakeAlias("prod")});
  this->CommitOne("two", {.alias = MakeAlias("prod")});
  EXPECT_THAT(this->catalog_->ResolveAlias(MakeAlias("prod")),
              testing::IsOkAndHolds(MakeCheckpointName("two")));
}

TYPED_TEST_P(CatalogContract, ARetriedRequestGetsTheFirstCheckpoint) {
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

TYPED_TEST_P(CatalogContract, ARequestIdForAnotherRequestIsRefused) {
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

TYPED_TEST_P(CatalogContract, RequestsWithoutAnIdAreAllDifferent) {
  this->CommitOne("one");
  this->CommitOne("two");
  EXPECT_THAT(this->catalog_->FindRequest("", Digest()),
              testing::IsOkAndHolds(std::nullopt));
  EXPECT_THAT(this->List({}, 9), ::testing::ElementsAre("two", "one"));
}

TYPED_TEST_P(CatalogContract, DeletingFreesWhatNobodyElseReferences) {
  const Tensors ab = {{"a", "11"}, {"b", "222"}};
  const Tensors bc = {{"b", "222"}, {"c", "3333"}};
  ASSERT_OK(this->Commit("one", ab,
                         {this->PackOf('a', {{"a", "11"}}),
                          this->PackOf('b', {{"b", "222"}})})
                .status());
  ASSERT_OK(
      this->Commit("two", bc, {this->PackOf('c', {{"c", "3333"}})}).status());
  EXPECT_THAT(
      this->catalog_->DeleteCheckpoint(MakeCheckpointName("one"), false),
      testing::IsOkAndHolds(::testing::ElementsAre(PackId(32, 'a'))));
  EXPECT_FALSE(this->Find("11").has_value());
  EXPECT_TRUE(this->Find("222").has_value());
  EXPECT_THAT(
      this->catalog_->DeleteCheckpoint(MakeCheckpointName("two"), false),
      testing::IsOkAndHolds(
          ::testing::UnorderedElementsAre(PackId(32, 'b'), PackId(32, 'c'))));
  EXPECT_THAT(this->catalog_->ListPacks(),
              testing::IsOkAndHolds(::testing::IsEmpty()));
}

TYPED_TEST_P(CatalogContract, ASharedStorageIsAReferenceToo) {
  NewCheckpoint request;
  request.manifest.storages = {{Digest::Of("11"), 2}};
  const std::vector<NewPack> packs = {this->PackOf('a', {{"a", "11"}})};
  ASSERT_OK(this->catalog_->Commit(MakeCheckpointName("one"), this->time_,
                                   request, {.packs = packs}));
  this->Commit("two", {{"a", "11"}}, {}).IgnoreError();
  EXPECT_THAT(
      this->catalog_->DeleteCheckpoint(MakeCheckpointName("two"), false),
      testing::IsOkAndHolds(::testing::IsEmpty()));
  EXPECT_TRUE(this->Find("11").has_value());
  EXPECT_THAT(
      this->catalog_->DeleteCheckpoint(MakeCheckpointName("one"), false),
      testing::IsOkAndHolds(::testing::ElementsAre(PackId(32, 'a'))));
}

TYPED_TEST_P(CatalogContract, AnAliasedCheckpointIsDeletedByForceAlone) {
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

TYPED_TEST_P(CatalogContract, ADeletedCheckpointsRequestIsForgotten) {
  NewCheckpoint request;
  request.request_id = "r1";
  this->CommitOne("one", request);
  ASSERT_OK(this->catalog_->DeleteCheckpoint(MakeCheckpointName("one"), false)
                .status());
  EXPECT_THAT(this->catalog_->FindRequest("r1", Digest()),
              testing::IsOkAndHolds(std::nullopt));
  this->CommitOne("two", request);
}

TYPED_TEST_P(CatalogContract, ListingsAreNewestFirstAndSequencesNeverReused) {
  for (const char* name : {"one", "two", "three"}) this->CommitOne(name);
  EXPECT_THAT(this->List({}, 2), ::testing::ElementsAre("three", "two", "one"));
  const int64_t newest =
      this->catalog_->ListCheckpoints({}, Catalog::kNewest, 1)->at(0).sequence;
  ASSERT_OK(this->catalog_->DeleteCheckpoint(MakeCheckpointName("three"), false)
                .status());
  this->Reopen();
  this->CommitOne("four");
  EXPECT_GT(
      this->catalog_->ListCheckpoints({}, Catalog::kNewest, 1)->at(0).sequence,
      newest);
  EXPECT_THAT(this->List({}, 1), ::testing::ElementsAre("four", "two", "one"));
}

TYPED_TEST_P(CatalogContract, FiltersFindWhatASearchOfEverythingFinds) {
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
    NewCheckpoint request{.architecture = row.architecture,
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
        EXPECT_EQ(this->List({.architecture = architecture,
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

TYPED_TEST_P(CatalogContract, ACheckpointWithTwoMatchingAliasesIsListedOnce) {
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

TYPED_TEST_P(CatalogContract, ArchitecturesAreKeptListedAndDeleted) {
  const Architecture net = MakeArchitecture("Net", 3);
  ASSERT_OK(this->catalog_->PutArchitecture(net));
  ASSERT_OK(this->catalog_->PutArchitecture(net));
  EXPECT_THAT(this->catalog_->GetArchitecture("Net"),
              testing::IsOkAndHolds(net));
  const absl::Status status =
      this->catalog_->PutArchitecture(MakeArchitecture("Net", 4));
  EXPECT_THAT(status, testing::StatusIs(absl::StatusCode::kAlreadyExists,
                                        ::testing::HasSubstr("Net")));
  EXPECT_EQ(GetErrorInfo(status)->reason, reason::kArchitectureExists);
  const Architecture also = MakeArchitecture("Also", 1);
  const Architecture zoo = MakeArchitecture("Zoo", 1);
  ASSERT_OK(this->catalog_->PutArchitecture(zoo));
  ASSERT_OK(this->catalog_->PutArchitecture(also));
  EXPECT_THAT(this->catalog_->ListArchitectures("", 2),
              testing::IsOkAndHolds(::testing::ElementsAre(also, net)));
  EXPECT_THAT(this->catalog_->ListArchitectures("Net", 2),
              testing::IsOkAndHolds(::testing::ElementsAre(zoo)));
  ASSERT_OK(this->catalog_->DeleteArchitecture("Net", false));
  EXPECT_THAT(this->catalog_->GetArchitecture("Net"),
              testing::StatusIs(absl::StatusCode::kNotFound));
}

TYPED_TEST_P(CatalogContract, AnArchitectureInUseIsDeletedByForceAlone) {
  ASSERT_OK(this->catalog_->PutArchitecture(MakeArchitecture("Net", 3)));
  this->CommitOne("one", {.architecture = "Net"});
  const absl::Status status = this->catalog_->DeleteArchitecture("Net", false);
  EXPECT_THAT(status,
              testing::StatusIs(absl::StatusCode::kFailedPrecondition,
                                ::testing::HasSubstr("checkpoints/one")));
  EXPECT_EQ(GetErrorInfo(status)->reason, reason::kArchitectureInUse);
  ASSERT_OK(this->catalog_->GetArchitecture("Net").status());
  ASSERT_OK(this->catalog_->DeleteArchitecture("Net", true));
  EXPECT_EQ(
      this->catalog_->GetCheckpoint(MakeCheckpointName("one"))->architecture,
      "Net");
}

TYPED_TEST_P(CatalogContract, OneOfManyEqualRequestsWins) {
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
    CatalogContract, ACheckpointComesBackWithAllItsFields,
    AManifestComesBackAsItWas, AManifestOfAnyLengthComesBackInItsOrder,
    AnEmptyManifestIsAllowed, BlobsAreFoundWhereTheyLie,
    TheEmptyBlobIsAlwaysThere, AKnownBlobStaysWhereItWas,
    APackThatBringsNothingNewIsUnused,
    ABlobThatTheManifestDoesNotNeedIsNotRecorded, ASmallBlobIsKeptAndReadBack,
    ASmallBlobThatTheManifestDoesNotNeedIsNotKept,
    ABlobIsKeptOnceInThePlaceWhereItCameFirst,
    AMissingBlobIsAbortedAndChangesNothing,
    ABlobThatIsGoneIsMissedHoweverOftenItWasNamed,
    ABlobOfACommitThatFailedIsMissed, AManifestThatContradictsItsBlobsIsRefused,
    WhatIsNotThereIsNotFound, LabelsAreReplaced, AliasesAreSetMovedAndDeleted,
    AliasesAreListedByNameAfterAName, ACommitWhosePacksDoNotLastDidNotHappen,
    ACommitMovesItsAlias, ARetriedRequestGetsTheFirstCheckpoint,
    ARequestIdForAnotherRequestIsRefused, RequestsWithoutAnIdAreAllDifferent,
    DeletingFreesWhatNobodyElseReferences, ASharedStorageIsAReferenceToo,
    AnAliasedCheckpointIsDeletedByForceAlone,
    ADeletedCheckpointsRequestIsForgotten,
    ListingsAreNewestFirstAndSequencesNeverReused,
    FiltersFindWhatASearchOfEverythingFinds,
    ACheckpointWithTwoMatchingAliasesIsListedOnce,
    ArchitecturesAreKeptListedAndDeleted,
    AnArchitectureInUseIsDeletedByForceAlone, OneOfManyEqualRequestsWins);

}  // namespace warmstart::store

#endif  // WARMSTART_TESTS_STORE_CATALOG_CONTRACT_H_
