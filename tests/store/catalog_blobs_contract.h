// What every Catalog does with blobs and packs: see catalog_fixture.h.

#ifndef WARMSTART_TESTS_STORE_CATALOG_BLOBS_CONTRACT_H_
#define WARMSTART_TESTS_STORE_CATALOG_BLOBS_CONTRACT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "tests/store/catalog_fixture.h"

namespace warmstart::store {

template <typename Backend>
class CatalogBlobs : public CatalogTest<Backend> {};

TYPED_TEST_SUITE_P(CatalogBlobs);

TYPED_TEST_P(CatalogBlobs, AManifestOfAnyLengthComesBackInItsOrder) {
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

TYPED_TEST_P(CatalogBlobs, AnEmptyManifestIsAllowed) {
  ASSERT_OK_AND_ASSIGN(const CommitResult result, this->Commit("one", {}, {}));
  EXPECT_EQ(result.checkpoint.num_tensors, 0);
  EXPECT_THAT(this->catalog_->GetManifest(MakeCheckpointName("one")),
              testing::IsOkAndHolds(Manifest()));
}

TYPED_TEST_P(CatalogBlobs, BlobsAreFoundWhereTheyLie) {
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

TYPED_TEST_P(CatalogBlobs, TheEmptyBlobIsAlwaysThere) {
  ASSERT_TRUE(this->Find("").has_value());
  EXPECT_EQ(this->Find("")->pack, "");
  ASSERT_OK(this->Commit("one", {{"empty", ""}}, {}).status());
  EXPECT_THAT(
      this->catalog_->DeleteCheckpoint(MakeCheckpointName("one"), false),
      testing::IsOkAndHolds(::testing::IsEmpty()));
  EXPECT_TRUE(this->Find("").has_value());
}

TYPED_TEST_P(CatalogBlobs, AKnownBlobStaysWhereItWas) {
  const Tensors old = {{"a", "11"}};
  ASSERT_OK(this->Commit("one", old, {this->PackOf('a', old)}).status());
  const Tensors both = {{"b", "222"}, {"a", "11"}};
  ASSERT_OK_AND_ASSIGN(const CommitResult result,
                       this->Commit("two", both, {this->PackOf('b', both)}));
  EXPECT_THAT(result.unused_packs, ::testing::IsEmpty());
  EXPECT_EQ(this->Find("11")->pack, PackId(32, 'a'));
  EXPECT_EQ(this->Find("222")->pack, PackId(32, 'b'));
}

TYPED_TEST_P(CatalogBlobs, APackThatBringsNothingNewIsUnused) {
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

TYPED_TEST_P(CatalogBlobs, ABlobThatTheManifestDoesNotNeedIsNotRecorded) {
  ASSERT_OK(this->Commit("one", {{"a", "11"}},
                         {this->PackOf('a', {{"a", "11"}, {"b", "222"}})})
                .status());
  EXPECT_FALSE(this->Find("222").has_value());
  ASSERT_OK_AND_ASSIGN(
      const CommitResult result,
      this->Commit("two", {{"a", "11"}}, {this->PackOf('b', {{"b", "222"}})}));
  EXPECT_THAT(result.unused_packs, ::testing::ElementsAre(PackId(32, 'b')));
}

TYPED_TEST_P(CatalogBlobs, TheUsageOfPacksIsWhatIsNeededOfThem) {
  EXPECT_THAT(this->catalog_->ListPackUsage(),
              testing::IsOkAndHolds(::testing::IsEmpty()));
  // A tensor of 100 bytes, one that overlaps it by half, one that nobody needs,
  // and one behind it.
  const std::string a(100, 'a');
  const std::string b(100, 'b');
  const std::string c(10, 'c');
  const NewPack pack{.id = PackId(32, 'a'),
                     .num_bytes = 1000,
                     .blobs = {{BlobOf(c), 500},
                               {BlobOf(a), 0},
                               {BlobOf("dead"), 300},
                               {BlobOf(b), 50}}};
  ASSERT_OK(this->Commit("one", {{"a", a}, {"b", b}, {"c", c}}, {pack}));
  ASSERT_OK_AND_ASSIGN(const std::vector<PackUsage> packs,
                       this->catalog_->ListPackUsage());
  ASSERT_THAT(packs, ::testing::SizeIs(1));
  EXPECT_EQ(packs[0].id, pack.id);
  EXPECT_EQ(packs[0].num_bytes, 1000);
  EXPECT_EQ(packs[0].live_bytes, 192 + 10);
  EXPECT_FALSE(packs[0].has_damage);

  ASSERT_OK_AND_ASSIGN(const std::vector<PlacedBlob> blobs,
                       this->catalog_->ListBlobs(pack.id));
  ASSERT_THAT(blobs, ::testing::SizeIs(3));
  EXPECT_EQ(blobs[0].blob.digest, Digest::Of(a));
  EXPECT_EQ(blobs[1].offset, 50);
  EXPECT_EQ(blobs[2].offset, 500);
  EXPECT_EQ(blobs[2].blob.num_bytes, 10);
  EXPECT_EQ(blobs[2].blob.crc32, BlobOf(c).crc32);
  EXPECT_THAT(this->catalog_->ListBlobs(PackId(32, 'b')),
              testing::IsOkAndHolds(::testing::IsEmpty()));
}

TYPED_TEST_P(CatalogBlobs, BlobsAreMovedAndPacksThatAreEmptyThenGo) {
  const Tensors both = {{"a", "11"}, {"b", "222"}};
  const Tensors other = {{"c", "3333"}};
  ASSERT_OK(this->Commit("one", both, {this->PackOf('a', both)}));
  ASSERT_OK(this->Commit("two", other, {this->PackOf('b', other)}));
  const NewPack fresh{
      .id = PackId(32, 'f'),
      .num_bytes = 300,
      .blobs = {{BlobOf("11"), 0}, {BlobOf("222"), 64}, {BlobOf("3333"), 128}}};
  EXPECT_THAT(
      this->catalog_->MoveBlobs(fresh, {PackId(32, 'a'), PackId(32, 'b')}),
      testing::IsOkAndHolds(
          ::testing::UnorderedElementsAre(PackId(32, 'a'), PackId(32, 'b'))));
  for (const bool reopened : {false, true}) {
    if (reopened) this->Reopen();
    EXPECT_THAT(this->catalog_->ListPacks(),
                testing::IsOkAndHolds(::testing::ElementsAre(fresh.id)));
    EXPECT_EQ(this->Find("222")->pack, fresh.id);
    EXPECT_EQ(this->Find("222")->offset, 64);
    EXPECT_EQ(this->Find("222")->blob.crc32, BlobOf("222").crc32);
  }
  // What a commit remembers of a blob, and what a deletion gives up.
  ASSERT_OK(this->Commit("three", other, {}));
  ASSERT_OK(this->catalog_->DeleteCheckpoint(MakeCheckpointName("one"), false));
  ASSERT_OK(this->catalog_->DeleteCheckpoint(MakeCheckpointName("two"), false));
  EXPECT_THAT(
      this->catalog_->DeleteCheckpoint(MakeCheckpointName("three"), false),
      testing::IsOkAndHolds(::testing::ElementsAre(fresh.id)));
}

TYPED_TEST_P(CatalogBlobs, WhatIsNotWhereItWasStaysWhereItIs) {
  const Tensors tensors = {{"a", "11"}};
  const Tensors other = {{"b", "222"}};
  ASSERT_OK(this->Commit("one", tensors, {this->PackOf('a', tensors)}));
  ASSERT_OK(this->Commit("two", other, {this->PackOf('b', other)}));
  const NewPack fresh{.id = PackId(32, 'f'),
                      .num_bytes = 200,
                      .blobs = {{BlobOf("11"), 0}, {BlobOf("gone"), 64}}};
  // It lies in another pack, or nowhere.
  EXPECT_THAT(
      this->catalog_->MoveBlobs(fresh, {PackId(32, 'b'), PackId(32, 'c')}),
      testing::IsOkAndHolds(::testing::ElementsAre(fresh.id)));
  EXPECT_EQ(this->Find("11")->pack, PackId(32, 'a'));
  EXPECT_THAT(this->catalog_->ListPacks(),
              testing::IsOkAndHolds(::testing::UnorderedElementsAre(
                  PackId(32, 'a'), PackId(32, 'b'))));
}

TYPED_TEST_P(CatalogBlobs, APackInWhichSomethingIsLeftStays) {
  const Tensors both = {{"a", "11"}, {"b", "222"}};
  ASSERT_OK(this->Commit("one", both, {this->PackOf('a', both)}));
  const NewPack fresh{
      .id = PackId(32, 'f'), .num_bytes = 2, .blobs = {{BlobOf("11"), 0}}};
  EXPECT_THAT(this->catalog_->MoveBlobs(fresh, {PackId(32, 'a')}),
              testing::IsOkAndHolds(::testing::IsEmpty()));
  EXPECT_EQ(this->Find("11")->pack, fresh.id);
  EXPECT_EQ(this->Find("222")->pack, PackId(32, 'a'));
}

TYPED_TEST_P(CatalogBlobs, SettlingChangesNothing) {
  const Tensors tensors = {{"a", "11"}};
  ASSERT_OK(this->Commit("one", tensors, {this->PackOf('a', tensors)}));
  ASSERT_OK(this->catalog_->Settle());
  this->Reopen();
  EXPECT_EQ(this->Find("11")->pack, PackId(32, 'a'));
  EXPECT_GT(this->catalog_->MeasureSpace()->num_bytes, 0);
}

TYPED_TEST_P(CatalogBlobs, ASmallBlobIsKeptAndReadBack) {
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

TYPED_TEST_P(CatalogBlobs, ASmallBlobThatTheManifestDoesNotNeedIsNotKept) {
  NewCheckpoint request;
  request.manifest = ManifestOf({{"a", "11"}});
  ASSERT_OK(this->catalog_->Commit(
      MakeCheckpointName("one"), this->time_, request,
      {.small = {{BlobOf("11"), "11"}, {BlobOf("222"), "222"}}}));
  EXPECT_FALSE(this->Find("222").has_value());
}

TYPED_TEST_P(CatalogBlobs, ABlobIsKeptOnceInThePlaceWhereItCameFirst) {
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

TYPED_TEST_P(CatalogBlobs, AMissingBlobIsAbortedAndChangesNothing) {
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
TYPED_TEST_P(CatalogBlobs, ABlobThatIsGoneIsMissedHoweverOftenItWasNamed) {
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

TYPED_TEST_P(CatalogBlobs, ABlobOfACommitThatFailedIsMissed) {
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

TYPED_TEST_P(CatalogBlobs, AManifestThatContradictsItsBlobsIsRefused) {
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

TYPED_TEST_P(CatalogBlobs, ACommitWhosePacksDoNotLastDidNotHappen) {
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

TYPED_TEST_P(CatalogBlobs, DeletingFreesWhatNobodyElseReferences) {
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

TYPED_TEST_P(CatalogBlobs, ASharedStorageIsAReferenceToo) {
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

REGISTER_TYPED_TEST_SUITE_P(
    CatalogBlobs, AManifestOfAnyLengthComesBackInItsOrder,
    AnEmptyManifestIsAllowed, BlobsAreFoundWhereTheyLie,
    TheEmptyBlobIsAlwaysThere, AKnownBlobStaysWhereItWas,
    APackThatBringsNothingNewIsUnused,
    ABlobThatTheManifestDoesNotNeedIsNotRecorded,
    TheUsageOfPacksIsWhatIsNeededOfThem,
    BlobsAreMovedAndPacksThatAreEmptyThenGo, WhatIsNotWhereItWasStaysWhereItIs,
    APackInWhichSomethingIsLeftStays, SettlingChangesNothing,
    ASmallBlobIsKeptAndReadBack, ASmallBlobThatTheManifestDoesNotNeedIsNotKept,
    ABlobIsKeptOnceInThePlaceWhereItCameFirst,
    AMissingBlobIsAbortedAndChangesNothing,
    ABlobThatIsGoneIsMissedHoweverOftenItWasNamed,
    ABlobOfACommitThatFailedIsMissed, AManifestThatContradictsItsBlobsIsRefused,
    ACommitWhosePacksDoNotLastDidNotHappen,
    DeletingFreesWhatNobodyElseReferences, ASharedStorageIsAReferenceToo);

}  // namespace warmstart::store

#endif  // WARMSTART_TESTS_STORE_CATALOG_BLOBS_CONTRACT_H_
