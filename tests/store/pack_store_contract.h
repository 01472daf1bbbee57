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
#include <fstream>
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

TYPED_TEST_P(PackStoreContract, AScanHandsOutThePartInPieces) {
  const std::string content = RandomBytes(3'000'000, 1);
  const PackId id = this->Publish(content);
  ASSERT_OK_AND_ASSIGN(const auto scanner, this->packs_->OpenForScan(id));
  for (const auto& [offset, size] : std::vector<std::pair<int, int>>{
           {0, 3'000'000}, {17, 2'500'000}, {2'999'999, 1}, {5, 0}}) {
    std::string read;
    EXPECT_OK(scanner->Scan(offset, size, [&](absl::string_view bytes) {
      read.append(bytes.data(), bytes.size());
      return absl::OkStatus();
    }));
    EXPECT_TRUE(read == content.substr(offset, size)) << offset;
  }
}

TYPED_TEST_P(PackStoreContract, AScanEndsWhereItsTakerSaysSo) {
  const PackId id = this->Publish(std::string(3'000'000, 'x'));
  ASSERT_OK_AND_ASSIGN(const auto scanner, this->packs_->OpenForScan(id));
  int pieces = 0;
  EXPECT_THAT(scanner->Scan(0, 3'000'000,
                            [&](absl::string_view) {
                              ++pieces;
                              return absl::CancelledError("enough");
                            }),
              testing::StatusIs(absl::StatusCode::kCancelled, "enough"));
  EXPECT_EQ(pieces, 1);
}

TYPED_TEST_P(PackStoreContract, AScanOfWhatIsNotThereIsDataLoss) {
  const PackId id = this->Publish("hello");
  ASSERT_OK_AND_ASSIGN(const auto scanner, this->packs_->OpenForScan(id));
  const auto take = [](absl::string_view) { return absl::OkStatus(); };
  EXPECT_THAT(scanner->Scan(1, 5, take),
              testing::StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(this->packs_->OpenForScan(RandomId()),
              testing::StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(this->packs_->SizeOf(RandomId()),
              testing::StatusIs(absl::StatusCode::kDataLoss));
}

TYPED_TEST_P(PackStoreContract, APackIsSettledOnceItsStagedPackIsGone) {
  const PackId first = this->Publish("hello");
  EXPECT_THAT(this->packs_->SizeOf(first), testing::IsOkAndHolds(5));
  ASSERT_OK_AND_ASSIGN(auto staged, this->packs_->Stage());
  ASSERT_OK(staged->Append("on its way"));
  ASSERT_OK(staged->Publish());
  ASSERT_OK_AND_ASSIGN(std::vector<PackFile> files,
                       this->packs_->ListSettled());
  ASSERT_THAT(files, ::testing::SizeIs(1));
  EXPECT_EQ(files[0].id, first);
  EXPECT_EQ(files[0].num_bytes, 5);
  staged.reset();
  ASSERT_OK_AND_ASSIGN(files, this->packs_->ListSettled());
  EXPECT_THAT(files, ::testing::SizeIs(2));
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

TYPED_TEST_P(PackStoreContract, AFileWrittenByOthersIsFinishedAsItIs) {
  ASSERT_OK_AND_ASSIGN(const auto staged, this->packs_->Stage());
  std::ofstream(staged->path(), std::ios::binary) << "by others";
  EXPECT_THAT(staged->Finish(), testing::IsOkAndHolds("by others"));
}

TYPED_TEST_P(PackStoreContract, HeldPacksStayUntilTheLastHoldEnds) {
  const PackId removed = this->Publish("removed");
  const PackId kept = this->Publish("kept");
  std::unique_ptr<PackHold> first = this->packs_->Hold();
  std::unique_ptr<PackHold> second = this->packs_->Hold();
  ASSERT_OK(this->packs_->Remove(removed));
  first.reset();
  EXPECT_EQ(this->packs_->Read(removed, 0, 7)->bytes, "removed");
  second.reset();
  EXPECT_FALSE(this->Exists(removed));
  EXPECT_TRUE(this->Exists(kept));
  ASSERT_OK(this->packs_->Remove(kept));
  EXPECT_FALSE(this->Exists(kept));
}

TYPED_TEST_P(PackStoreContract, SweepRemovesWhatWasHeldInACrash) {
  const PackId id = this->Publish("held");
  const std::unique_ptr<PackStore> next = this->backend_.Open();
  {
    const std::unique_ptr<PackHold> hold = this->packs_->Hold();
    ASSERT_OK(this->packs_->Remove(id));
    // As the next process does, which knows of no hold.
    ASSERT_OK(next->Sweep({}));
    EXPECT_FALSE(this->Exists(id));
  }
  EXPECT_FALSE(this->Exists(id));
}

TYPED_TEST_P(PackStoreContract, WhatIsExpectedIsNotListed) {
  const PackId id = this->Publish("content");
  std::unique_ptr<PackLease> lease = this->packs_->Expect(id);
  EXPECT_THAT(this->packs_->ListSettled(),
              testing::IsOkAndHolds(::testing::IsEmpty()));
  lease.reset();
  EXPECT_THAT(this->packs_->ListSettled(),
              testing::IsOkAndHolds(::testing::SizeIs(1)));
}

TYPED_TEST_P(PackStoreContract, WhatIsHeldButRemovedIsNotListed) {
  const PackId id = this->Publish("content");
  const std::unique_ptr<PackHold> hold = this->packs_->Hold();
  ASSERT_OK(this->packs_->Remove(id));
  EXPECT_THAT(this->packs_->ListSettled(),
              testing::IsOkAndHolds(::testing::IsEmpty()));
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
    ReadsOfAMissingPackAreDataLoss, AScanHandsOutThePartInPieces,
    AScanEndsWhereItsTakerSaysSo, AScanOfWhatIsNotThereIsDataLoss,
    APackIsSettledOnceItsStagedPackIsGone,
    RemovedPacksAreGoneButStayReadableWhereHeld, ReadBytesOutliveTheStore,
    SweepKeepsWhatIsKnownAndNothingElse, AFileWrittenByOthersIsFinishedAsItIs,
    HeldPacksStayUntilTheLastHoldEnds, SweepRemovesWhatWasHeldInACrash,
    WhatIsExpectedIsNotListed, WhatIsHeldButRemovedIsNotListed,
    WhatIsOnItsWayIsNotListed);

}  // namespace warmstart::store

#endif  // WARMSTART_TESTS_STORE_PACK_STORE_CONTRACT_H_
