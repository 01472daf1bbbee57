// What every Catalog does with blobs that are damaged: see catalog_fixture.h.

#ifndef WARMSTART_TESTS_STORE_CATALOG_DAMAGE_CONTRACT_H_
#define WARMSTART_TESTS_STORE_CATALOG_DAMAGE_CONTRACT_H_

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "tests/store/catalog_fixture.h"

namespace warmstart::store {

template <typename Backend>
class CatalogDamage : public CatalogTest<Backend> {
 protected:
  // Puts the blob of these bytes into quarantine where the catalog has it.
  int64_t MarkDamaged(absl::string_view bytes) {
    const BlobLocation location = this->Find(bytes).value();
    return this->catalog_->MarkDamaged({&location, 1}, damage_time_).value();
  }
  bool IsDamaged(absl::string_view bytes) {
    return this->Find(bytes).value().damage_time.has_value();
  }
  // One checkpoint of these tensors, in a pack.
  void SaveInPack(char name, const Tensors& tensors) {
    ASSERT_OK(this->Commit(absl::StrCat("in-", std::string(1, name)), tensors,
                           {this->PackOf(name, tensors)})
                  .status());
  }
  // The bytes that a catalog keeps are looked at before they are marked.
  void SpoilSmall(absl::string_view bytes) {
    this->backend_.SpoilSmall(Digest::Of(bytes));
  }
  Damage FindDamage(const DamageLimits& limits = {}) {
    return this->catalog_->FindDamage(limits).value();
  }
  std::vector<std::string> Findings() {
    std::vector<std::string> findings;
    EXPECT_OK(this->catalog_
                  ->Check([&](std::string finding) {
                    findings.push_back(std::move(finding));
                  })
                  .status());
    return findings;
  }

  const absl::Time damage_time_ = absl::FromUnixNanos(1800000000123456789);
};

TYPED_TEST_SUITE_P(CatalogDamage);

TYPED_TEST_P(CatalogDamage, AMarkLastsAndIsTakenAway) {
  this->SaveInPack('a', {{"a", "11"}, {"b", "222"}});
  EXPECT_EQ(this->MarkDamaged("11"), 1);
  this->Reopen();
  EXPECT_EQ(this->Find("11")->damage_time, this->damage_time_);
  EXPECT_FALSE(this->IsDamaged("222"));
  const BlobLocation location = *this->Find("11");
  EXPECT_THAT(this->catalog_->MarkIntact({&location, 1}),
              testing::IsOkAndHolds(1));
  EXPECT_FALSE(this->IsDamaged("11"));
  EXPECT_THAT(this->catalog_->MarkIntact({&location, 1}),
              testing::IsOkAndHolds(0));
}

TYPED_TEST_P(CatalogDamage, TheFirstMarkStays) {
  this->SaveInPack('a', {{"a", "11"}});
  EXPECT_EQ(this->MarkDamaged("11"), 1);
  const BlobLocation location = *this->Find("11");
  EXPECT_THAT(this->catalog_->MarkDamaged({&location, 1}, absl::Now()),
              testing::IsOkAndHolds(0));
  EXPECT_EQ(this->Find("11")->damage_time, this->damage_time_);
}

TYPED_TEST_P(CatalogDamage, AMarkIsForThePlaceThatWasLookedAt) {
  this->SaveInPack('a', {{"a", "11"}});
  BlobLocation elsewhere = *this->Find("11");
  elsewhere.offset = 1;
  EXPECT_THAT(this->catalog_->MarkDamaged({&elsewhere, 1}, absl::Now()),
              testing::IsOkAndHolds(0));
  elsewhere = *this->Find("11");
  elsewhere.pack = PackId(32, 'b');
  EXPECT_THAT(this->catalog_->MarkDamaged({&elsewhere, 1}, absl::Now()),
              testing::IsOkAndHolds(0));
  EXPECT_FALSE(this->IsDamaged("11"));
}

TYPED_TEST_P(CatalogDamage, ASmallBlobThatIsIntactIsNotMarked) {
  ASSERT_OK(this->CommitSmall("one", {{"a", "11"}}).status());
  EXPECT_EQ(this->MarkDamaged("11"), 0);
  this->SpoilSmall("11");
  EXPECT_EQ(this->MarkDamaged("11"), 1);
  EXPECT_TRUE(this->IsDamaged("11"));
}

TYPED_TEST_P(CatalogDamage, ABlobInAPackIsPlacedAnewInAnother) {
  const Tensors tensors = {{"a", "11"}, {"b", "222"}};
  this->SaveInPack('a', tensors);
  this->MarkDamaged("222");
  ASSERT_OK_AND_ASSIGN(
      const CommitResult result,
      this->Commit("two", {{"b", "222"}}, {this->PackOf('b', {{"b", "222"}})}));
  EXPECT_THAT(result.unused_packs, ::testing::IsEmpty());
  EXPECT_THAT(result.emptied_packs, ::testing::IsEmpty());
  EXPECT_EQ(this->Find("222")->pack, PackId(32, 'b'));
  EXPECT_EQ(this->Find("222")->offset, 0);
  EXPECT_FALSE(this->IsDamaged("222"));
  // What was intact stays, and is not needed twice.
  EXPECT_EQ(this->Find("11")->pack, PackId(32, 'a'));
  EXPECT_THAT(this->Findings(), ::testing::IsEmpty());
}

TYPED_TEST_P(CatalogDamage, APackWhoseLastBlobIsPlacedAnewIsEmptied) {
  const Tensors tensors = {{"a", "11"}, {"b", "222"}};
  this->SaveInPack('a', tensors);
  this->MarkDamaged("11");
  this->MarkDamaged("222");
  ASSERT_OK_AND_ASSIGN(
      const CommitResult result,
      this->Commit("two", tensors, {this->PackOf('b', tensors)}));
  EXPECT_THAT(result.emptied_packs, ::testing::ElementsAre(PackId(32, 'a')));
  EXPECT_THAT(this->catalog_->ListPacks(),
              testing::IsOkAndHolds(::testing::ElementsAre(PackId(32, 'b'))));
  EXPECT_THAT(this->Findings(), ::testing::IsEmpty());
  // It is the new pack that goes with the last checkpoint.
  EXPECT_OK(this->catalog_->DeleteCheckpoint(MakeCheckpointName("two"), false)
                .status());
  EXPECT_THAT(
      this->catalog_->DeleteCheckpoint(MakeCheckpointName("in-a"), false),
      testing::IsOkAndHolds(::testing::ElementsAre(PackId(32, 'b'))));
}

TYPED_TEST_P(CatalogDamage, ABlobInAPackIsPlacedAnewInTheCatalog) {
  this->SaveInPack('a', {{"a", "11"}});
  this->MarkDamaged("11");
  ASSERT_OK_AND_ASSIGN(const CommitResult result,
                       this->CommitSmall("two", {{"a", "11"}}));
  EXPECT_THAT(result.emptied_packs, ::testing::ElementsAre(PackId(32, 'a')));
  EXPECT_EQ(this->Find("11")->pack, "");
  EXPECT_EQ(this->Find("11")->offset, 0);
  EXPECT_FALSE(this->IsDamaged("11"));
  EXPECT_THAT(this->catalog_->ReadBlob(Digest::Of("11")),
              testing::IsOkAndHolds("11"));
  EXPECT_THAT(this->Findings(), ::testing::IsEmpty());
}

TYPED_TEST_P(CatalogDamage, ASmallBlobIsPlacedAnewInAPack) {
  ASSERT_OK(this->CommitSmall("one", {{"a", "11"}}).status());
  this->SpoilSmall("11");
  this->MarkDamaged("11");
  this->SaveInPack('b', {{"x", "333"}, {"a", "11"}});
  EXPECT_EQ(this->Find("11")->pack, PackId(32, 'b'));
  EXPECT_EQ(this->Find("11")->offset, 3);
  EXPECT_FALSE(this->IsDamaged("11"));
  EXPECT_THAT(this->Findings(), ::testing::IsEmpty());
}

TYPED_TEST_P(CatalogDamage, ASmallBlobIsPlacedAnewWhereItWas) {
  ASSERT_OK(this->CommitSmall("one", {{"a", "11"}}).status());
  this->SpoilSmall("11");
  this->MarkDamaged("11");
  ASSERT_OK(this->CommitSmall("two", {{"a", "11"}}).status());
  EXPECT_FALSE(this->IsDamaged("11"));
  EXPECT_THAT(this->catalog_->ReadBlob(Digest::Of("11")),
              testing::IsOkAndHolds("11"));
  EXPECT_THAT(this->Findings(), ::testing::IsEmpty());
}

TYPED_TEST_P(CatalogDamage, AReferenceToADamagedBlobIsRefused) {
  this->SaveInPack('a', {{"a", "11"}});
  // So that a catalog which remembers blobs remembers this one.
  ASSERT_OK(this->Commit("two", {{"a", "11"}}, {}).status());
  this->MarkDamaged("11");
  const absl::Status status = this->Commit("three", {{"a", "11"}}, {}).status();
  EXPECT_THAT(status, testing::StatusIs(absl::StatusCode::kDataLoss,
                                        ::testing::HasSubstr("2027-01-15T")));
  EXPECT_EQ(GetErrorInfo(status)->metadata.at("digest"),
            Digest::Of("11").ToHex());
  EXPECT_THAT(this->catalog_->CheckExists(MakeCheckpointName("three")),
              testing::StatusIs(absl::StatusCode::kNotFound));
  const BlobLocation location = *this->Find("11");
  ASSERT_OK(this->catalog_->MarkIntact({&location, 1}).status());
  EXPECT_OK(this->Commit("three", {{"a", "11"}}, {}).status());
}

TYPED_TEST_P(CatalogDamage, ADamagedBlobGoesWithItsLastCheckpoint) {
  this->SaveInPack('a', {{"a", "11"}});
  this->MarkDamaged("11");
  EXPECT_THAT(
      this->catalog_->DeleteCheckpoint(MakeCheckpointName("in-a"), false),
      testing::IsOkAndHolds(::testing::ElementsAre(PackId(32, 'a'))));
  EXPECT_EQ(this->FindDamage().num_blobs, 0);
  // It comes back as any other.
  this->SaveInPack('a', {{"a", "11"}});
  EXPECT_FALSE(this->IsDamaged("11"));
}

TYPED_TEST_P(CatalogDamage, AWalkMeetsEveryBlobOnce) {
  ASSERT_OK(this->CommitSmall("small", {{"s", "0"}, {"t", "00"}}).status());
  this->SaveInPack('b', {{"a", "11"}, {"b", "222"}, {"c", "3333"}});
  this->SaveInPack('a', {{"d", "44444"}, {"e", ""}});
  this->MarkDamaged("222");
  EXPECT_EQ(this->catalog_->CountBlobs()->num_blobs, 6);
  EXPECT_EQ(this->catalog_->CountBlobs()->num_bytes, 17);
  for (const int limit : {1, 2, 3, 4, 100}) {
    SCOPED_TRACE(limit);
    std::vector<PackId> packs;
    int64_t num_bytes = 0;
    for (BlobCursor cursor;;) {
      const auto page = this->catalog_->NextBlobs(cursor, limit).value();
      if (page.empty()) break;
      EXPECT_LE(static_cast<int>(page.size()), limit);
      for (const BlobLocation& blob : page) {
        packs.push_back(blob.pack);
        num_bytes += blob.blob.num_bytes;
        EXPECT_EQ(blob.damage_time.has_value(),
                  blob.blob.digest == Digest::Of("222"));
      }
    }
    EXPECT_EQ(packs.size(), 6u);
    EXPECT_EQ(num_bytes, 17);
    // Pack by pack.
    packs.erase(std::unique(packs.begin(), packs.end()), packs.end());
    EXPECT_THAT(packs,
                ::testing::ElementsAre("", PackId(32, 'b'), PackId(32, 'a')));
  }
}

TYPED_TEST_P(CatalogDamage, DamageIsToldWithThoseWhoNeedIt) {
  this->SaveInPack('a', {{"a", "11"}, {"b", "222"}, {"c", "11"}});
  ASSERT_OK(this->Commit("two", {{"x", "11"}, {"y", "222"}}, {}).status());
  this->MarkDamaged("11");
  const Damage damage = this->FindDamage();
  EXPECT_EQ(damage.num_blobs, 1);
  EXPECT_EQ(damage.num_bytes, 2);
  ASSERT_THAT(damage.blobs, ::testing::SizeIs(1));
  const DamagedBlob& blob = damage.blobs[0];
  EXPECT_EQ(blob.digest, Digest::Of("11"));
  EXPECT_EQ(blob.num_bytes, 2);
  EXPECT_EQ(blob.damage_time, this->damage_time_);
  EXPECT_EQ(blob.pack, PackId(32, 'a'));
  EXPECT_EQ(blob.num_uses, 3);
  std::vector<std::string> uses;
  for (const TensorUse& use : blob.uses) {
    uses.push_back(absl::StrCat(use.checkpoint.id(), ":", use.key));
  }
  EXPECT_THAT(uses, ::testing::ElementsAre("two:x", "in-a:a", "in-a:c"));
}

TYPED_TEST_P(CatalogDamage, WhoSharesADamagedStorageNeedsItToo) {
  const Tensors tensors = {{"a", "11"}, {"b", "22"}};
  NewCheckpoint request;
  request.manifest = ManifestOf(tensors);
  request.manifest.storages.push_back({Digest::Of("1122"), 4});
  request.manifest.entries[1].view =
      StorageView{.storage = 0, .offset = 2, .strides = {1}};
  NewPack pack = this->PackOf('a', tensors);
  pack.blobs.push_back({BlobOf("1122"), 0});
  ASSERT_OK(this->catalog_
                ->Commit(MakeCheckpointName("one"), this->time_, request,
                         {.packs = {pack}})
                .status());
  this->MarkDamaged("1122");
  const Damage damage = this->FindDamage();
  ASSERT_THAT(damage.blobs, ::testing::SizeIs(1));
  ASSERT_THAT(damage.blobs[0].uses, ::testing::SizeIs(1));
  EXPECT_EQ(damage.blobs[0].uses[0].key, "b");
}

TYPED_TEST_P(CatalogDamage, MuchDamageIsCountedAndTheFirstOfItTold) {
  this->SaveInPack('a', {{"a", "11"}, {"b", "222"}, {"c", "11"}});
  this->MarkDamaged("11");
  this->MarkDamaged("222");
  const Damage damage = this->FindDamage({.blobs = 1, .uses = 1});
  EXPECT_EQ(damage.num_blobs, 2);
  EXPECT_EQ(damage.num_bytes, 5);
  ASSERT_THAT(damage.blobs, ::testing::SizeIs(1));
  EXPECT_EQ(damage.blobs[0].num_uses, 2);
  EXPECT_THAT(damage.blobs[0].uses, ::testing::SizeIs(1));
}

TYPED_TEST_P(CatalogDamage, ACheckCountsWhatIsThereAndTellsOfDamage) {
  this->SaveInPack('a', {{"a", "11"}, {"b", "222"}, {"e", ""}});
  ASSERT_OK(this->CommitSmall("small", {{"s", "0"}}).status());
  ASSERT_OK_AND_ASSIGN(const CatalogCheck check,
                       this->catalog_->Check([](std::string finding) {
                         ADD_FAILURE() << finding;
                       }));
  EXPECT_EQ(check.num_checkpoints, 2);
  EXPECT_EQ(check.num_blobs, 3);
  ASSERT_THAT(check.packs, ::testing::SizeIs(1));
  EXPECT_EQ(check.packs[0].id, PackId(32, 'a'));
  EXPECT_EQ(check.packs[0].num_bytes, 5);
  this->MarkDamaged("11");
  EXPECT_THAT(this->Findings(),
              ::testing::ElementsAre(::testing::AllOf(
                  ::testing::HasSubstr(Digest::Of("11").ToHex()),
                  ::testing::HasSubstr("2027-01-15T08:00:00Z"))));
}

REGISTER_TYPED_TEST_SUITE_P(
    CatalogDamage, AMarkLastsAndIsTakenAway, TheFirstMarkStays,
    AMarkIsForThePlaceThatWasLookedAt, ASmallBlobThatIsIntactIsNotMarked,
    ABlobInAPackIsPlacedAnewInAnother, APackWhoseLastBlobIsPlacedAnewIsEmptied,
    ABlobInAPackIsPlacedAnewInTheCatalog, ASmallBlobIsPlacedAnewInAPack,
    ASmallBlobIsPlacedAnewWhereItWas, AReferenceToADamagedBlobIsRefused,
    ADamagedBlobGoesWithItsLastCheckpoint, AWalkMeetsEveryBlobOnce,
    DamageIsToldWithThoseWhoNeedIt, WhoSharesADamagedStorageNeedsItToo,
    MuchDamageIsCountedAndTheFirstOfItTold,
    ACheckCountsWhatIsThereAndTellsOfDamage);

}  // namespace warmstart::store

#endif  // WARMSTART_TESTS_STORE_CATALOG_DAMAGE_CONTRACT_H_
