// What every PackStore does. A backend runs it by a traits type:
//
//   struct LocalBackend {
//     // As after a start; may be called again once the last one is gone.
//     std::unique_ptr<PackStore> Open();
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Local, PackStoreContract, LocalBackend);

#ifndef WARMSTART_TESTS_STORE_PACK_STORE_CONTRACT_H_
#define WARMSTART_TESTS_STORE_PACK_STORE_CONTRACT_H_

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/pack_store.h"
#include "server/store/random_id.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::store {

template <typename Backend>
class PackStoreContract : public ::testing::Test {
 protected:
  void Reopen() {
    packs_.reset();
    packs_ = backend_.Open();
  }

  // A published pack with that content.
  PackId Publish(const std::string& content) {
    std::unique_ptr<StagedPack> staged = packs_->Stage().value();
    EXPECT_THAT(staged->Append(content), testing::IsOk());
    EXPECT_THAT(staged->Publish(), testing::IsOk());
    EXPECT_THAT(packs_->Flush(), testing::IsOk());
    return staged->id();
  }

  bool Exists(const PackId& id) { return packs_->Read(id, 0, 0).ok(); }

  Backend backend_;
  std::unique_ptr<PackStore> packs_ = backend_.Open();
};

TYPED_TEST_SUITE_P(PackStoreContract);

TYPED_TEST_P(PackStoreContract, PublishedBytesAreReadInParts) {
  const PackId id = this->Publish("hello, world");
  EXPECT_TRUE(IsRandomId(id));
  EXPECT_EQ(this->packs_->Read(id, 0, 12)->bytes, "hello, world");
  EXPECT_EQ(this->packs_->Read(id, 7, 5)->bytes, "world");
  EXPECT_EQ(this->packs_->Read(id, 12, 0)->bytes, "");
}

TYPED_TEST_P(PackStoreContract, StagedBytesAreSeenByTheirOwnerAlone) {
  ASSERT_OK_AND_ASSIGN(const auto staged, this->packs_->Stage());
  ASSERT_OK(staged->Append("one "));
  ASSERT_OK(staged->Append("two"));
  EXPECT_THAT(staged->Finish(), testing::IsOkAndHolds("one two"));
  EXPECT_THAT(staged->Finish(), testing::IsOkAndHolds("one two"));
  EXPECT_THAT(this->packs_->Read(staged->id(), 0, 1),
              testing::StatusIs(absl::StatusCode::kDataLoss));
}

TYPED_TEST_P(PackStoreContract, FinishedBytesStayThereAfterPublishAndRemove) {
  ASSERT_OK_AND_ASSIGN(const auto staged, this->packs_->Stage());
  ASSERT_OK(staged->Append("content"));
  ASSERT_OK_AND_ASSIGN(const absl::string_view bytes, staged->Finish());
  staged->StartSync();
  staged->StartSync();
  ASSERT_OK(staged->Publish());
  EXPECT_EQ(bytes, "content");
  ASSERT_OK(this->packs_->Remove(staged->id()));
  EXPECT_EQ(bytes, "content");
}

TYPED_TEST_P(PackStoreContract, AppendAfterFinishIsRefused) {
  ASSERT_OK_AND_ASSIGN(const auto staged, this->packs_->Stage());
  ASSERT_OK(staged->Finish().status());
  EXPECT_THAT(staged->Append("late"),
              testing::StatusIs(absl::StatusCode::kFailedPrecondition));
}

TYPED_TEST_P(PackStoreContract, AMappingIsZerosThenWhatIsWritten) {
  ASSERT_OK_AND_ASSIGN(const auto staged, this->packs_->Stage());
  ASSERT_OK_AND_ASSIGN(const absl::Span<char> space,
                       staged->MapForWriting(1000));
  EXPECT_EQ(std::string(space.begin(), space.end()), std::string(1000, '\0'));
  space[999] = 'z';
  ASSERT_OK_AND_ASSIGN(const absl::string_view bytes, staged->Finish());
  space[0] = 'a';
  const std::string expected = "a" + std::string(998, '\0') + "z";
  EXPECT_EQ(bytes, expected);
  ASSERT_OK(staged->Publish());
  EXPECT_EQ(this->packs_->Read(staged->id(), 0, 1000)->bytes, expected);
}

TYPED_TEST_P(PackStoreContract, AnEmptyPackIsAPack) {
  const PackId id = this->Publish("");
  EXPECT_THAT(this->packs_->Read(id, 0, 0), testing::IsOk());
}

TYPED_TEST_P(PackStoreContract, WhatIsDroppedIsGone) {
  PackId id;
  {
    ASSERT_OK_AND_ASSIGN(const auto staged, this->packs_->Stage());
    ASSERT_OK(staged->Append("x"));
    ASSERT_OK(staged->Finish().status());
    staged->StartSync();
    id = staged->id();
  }
  EXPECT_FALSE(this->Exists(id));
}

TYPED_TEST_P(PackStoreContract, PublishedPacksOutliveTheirWriterAndAReopening) {
  const PackId id = this->Publish("lasting");
  this->Reopen();
  EXPECT_EQ(this->packs_->Read(id, 0, 7)->bytes, "lasting");
}

TYPED_TEST_P(PackStoreContract, ReadsOutsideAPackAreDataLoss) {
  const PackId id = this->Publish("12345");
  for (const auto& [offset, num_bytes] :
       std::initializer_list<std::pair<int64_t, int64_t>>{
           {0, 6}, {5, 1}, {6, 0}, {-1, 1}, {0, -1}, {1, INT64_MAX}}) {
    EXPECT_THAT(this->packs_->Read(id, offset, num_bytes),
                testing::StatusIs(absl::StatusCode::kDataLoss,
                                  ::testing::HasSubstr(id)));
  }
}

TYPED_TEST_P(PackStoreContract, ReadsOfAMissingPackAreDataLoss) {
  const PackId id = RandomId();
  EXPECT_THAT(
      this->packs_->Read(id, 0, 1),
      testing::StatusIs(absl::StatusCode::kDataLoss, ::testing::HasSubstr(id)));
}

TYPED_TEST_P(PackStoreContract, RemovedPacksAreGoneButStayReadableWhereHeld) {
  const PackId id = this->Publish("content");
  ASSERT_OK_AND_ASSIGN(const BlobData held, this->packs_->Read(id, 0, 7));
  ASSERT_OK(this->packs_->Remove(id));
  EXPECT_EQ(held.bytes, "content");
  EXPECT_THAT(this->packs_->Read(id, 0, 7),
              testing::StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_OK(this->packs_->Remove(id));
}

TYPED_TEST_P(PackStoreContract, ReadBytesOutliveTheStore) {
  const PackId id = this->Publish("content");
  ASSERT_OK_AND_ASSIGN(const BlobData held, this->packs_->Read(id, 0, 7));
  this->packs_.reset();
  EXPECT_EQ(held.bytes, "content");
}

TYPED_TEST_P(PackStoreContract, SweepKeepsWhatIsKnownAndNothingElse) {
  const PackId kept = this->Publish("kept");
  const PackId orphan = this->Publish("orphan");
  this->Reopen();
  ASSERT_OK(this->packs_->Sweep({kept, RandomId()}));
  EXPECT_TRUE(this->Exists(kept));
  EXPECT_FALSE(this->Exists(orphan));
}

TYPED_TEST_P(PackStoreContract, WhatIsOnItsWayIsNotListed) {
  EXPECT_THAT(this->packs_->ListSettled(),
              testing::IsOkAndHolds(::testing::IsEmpty()));
  std::unique_ptr<StagedPack> staged = this->packs_->Stage().value();
  const PackId id = staged->id();
  ASSERT_OK(staged->Append("content"));
  ASSERT_OK(staged->Publish());
  EXPECT_THAT(this->packs_->ListSettled(),
              testing::IsOkAndHolds(::testing::IsEmpty()));
  staged.reset();
  for (const bool reopened : {false, true}) {
    if (reopened) this->Reopen();
    ASSERT_OK_AND_ASSIGN(const std::vector<PackFile> files,
                         this->packs_->ListSettled());
    ASSERT_THAT(files, ::testing::SizeIs(1));
    EXPECT_EQ(files[0].id, id);
    EXPECT_EQ(files[0].num_bytes, 7);
  }
}

REGISTER_TYPED_TEST_SUITE_P(
    PackStoreContract, PublishedBytesAreReadInParts,
    StagedBytesAreSeenByTheirOwnerAlone,
    FinishedBytesStayThereAfterPublishAndRemove, AppendAfterFinishIsRefused,
    AMappingIsZerosThenWhatIsWritten, AnEmptyPackIsAPack, WhatIsDroppedIsGone,
    PublishedPacksOutliveTheirWriterAndAReopening, ReadsOutsideAPackAreDataLoss,
    ReadsOfAMissingPackAreDataLoss, RemovedPacksAreGoneButStayReadableWhereHeld,
    ReadBytesOutliveTheStore, WhatIsOnItsWayIsNotListed,
    SweepKeepsWhatIsKnownAndNothingElse);

}  // namespace warmstart::store

#endif  // WARMSTART_TESTS_STORE_PACK_STORE_CONTRACT_H_
