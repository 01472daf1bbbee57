// What a store does with a tensor once it is known to be damaged, and how it
// comes to have it back.

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "server/store/local/paths.h"
#include "server/store/sqlite/sqlite_db.h"
#include "server/store/store.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/faulty_file_system.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

const Tensors kPair = {{"first", RandomBytes(140'000, 1)},
                       {"second", RandomBytes(150'000, 2)}};
const Tensors kFirst = {kPair[0]};
const Tensors kSecond = {kPair[1]};
const Tensors kSmall = {{"small", RandomBytes(1000, 3)}};

class QuarantineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Open(VerifyReads::kFirst);
    pair_ = Save(*store_, kPair).value().name;
    path_ = paths_.Pack(FilesIn(paths_.PacksDir()).at(0));
  }

  void Open(VerifyReads verify_reads) {
    store_.reset();
    store_ = Store::Open({.data_dir = dir_.path(),
                          .file_system = &file_system_,
                          .clock = &clock_,
                          .verify_reads = verify_reads})
                 .value();
  }

  absl::Status Read(const Tensors& tensors) {
    return store_->OpenBlob(Digest::Of(tensors[0].second)).status();
  }
  // Damages the bytes, and has a read find it.
  void Lose(const Tensors& tensors) {
    FlipBit(path_, tensors[0].second);
    EXPECT_THAT(Read(tensors), StatusIs(absl::StatusCode::kDataLoss));
    EXPECT_THAT(Damaged(), ::testing::Contains(tensors[0].first));
  }
  void LoseSmall() {
    ASSERT_OK(SqliteDb::Open(paths_.Catalog())
                  .value()
                  ->RunScript("UPDATE small_blobs SET bytes = zeroblob(1000)"));
    EXPECT_THAT(Read(kSmall), StatusIs(absl::StatusCode::kDataLoss));
  }
  // The keys that need what is in quarantine.
  std::vector<std::string> Damaged() {
    std::vector<std::string> keys;
    const Damage damage = store_->FindDamage(DamageLimits()).value();
    for (const DamagedBlob& blob : damage.blobs) {
      for (const TensorUse& use : blob.uses) keys.push_back(use.key);
    }
    return keys;
  }
  std::vector<std::string> Packs() { return FilesIn(paths_.PacksDir()); }
  // All of it is there, and as it should be.
  void ExpectWhole(const CheckpointName& name, const Tensors& tensors) {
    EXPECT_THAT(Damaged(), IsEmpty());
    EXPECT_OK(CheckReadable(*store_, name, tensors));
    EXPECT_OK(CheckDisk(dir_.path()));
    EXPECT_THAT(store_->Check().value().findings, IsEmpty());
  }

  testing::TempDir dir_;
  const StorePaths paths_{dir_.path()};
  testing::FaultyFileSystem file_system_{PosixFileSystem()};
  testing::FakeClock clock_;
  std::unique_ptr<Store> store_;
  CheckpointName pair_;
  std::string path_;  // of its pack
};

TEST_F(QuarantineTest, AReadThatFindsDamageTellsTheNextOnesSinceWhen) {
  Lose(kSecond);
  clock_.Advance(absl::Hours(5));
  // Put right by hand, it is not read all the same: a scrub is to say so.
  std::string flipped = kSecond[0].second;
  flipped[flipped.size() / 2] ^= 1;
  FlipBit(path_, flipped);
  const absl::Status status = Read(kSecond);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss,
                               HasSubstr("damaged or gone at")));
  const ErrorInfo info = GetErrorInfo(status).value();
  EXPECT_EQ(info.reason, reason::kDataLoss);
  EXPECT_EQ(info.metadata.at("digest"), Digest::Of(kSecond[0].second).ToHex());
  EXPECT_EQ(info.metadata.at("damage_time"),
            absl::FormatTime(absl::RFC3339_sec, clock_.Now() - absl::Hours(5),
                             absl::UTCTimeZone()));
  EXPECT_OK(Read(kFirst));
}

TEST_F(QuarantineTest, AnErrorThatPassesPutsNothingThere) {
  int step = 0;
  for (bool failed = true; failed; ++step) {
    SCOPED_TRACE(step);
    Open(VerifyReads::kFirst);
    file_system_.FailAt(step, absl::DataLossError("EIO"));
    Read(kFirst).IgnoreError();
    failed = file_system_.has_struck();
    file_system_.Heal();
    EXPECT_THAT(Damaged(), IsEmpty());
    EXPECT_OK(Read(kFirst));
  }
  EXPECT_GT(step, 1);
}

TEST_F(QuarantineTest, WithoutVerifiedReadsAPackThatIsGoneIsNoticed) {
  Open(VerifyReads::kNever);
  FlipBit(path_, kFirst[0].second);
  EXPECT_OK(Read(kFirst));
  std::filesystem::remove(path_);
  EXPECT_THAT(Read(kSecond), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Damaged(), ::testing::ElementsAre("second"));
}

TEST_F(QuarantineTest, TheSameUploadBringsItBack) {
  Lose(kSecond);
  ASSERT_OK(Save(*store_, kPair).status());
  ExpectWhole(pair_, kPair);
  EXPECT_THAT(Packs(), SizeIs(2));  // the first tensor is where it was
}

TEST_F(QuarantineTest, ItIsBackAfterAReopeningAndAScrubFindsItSo) {
  Lose(kSecond);
  ASSERT_OK(Save(*store_, kPair).status());
  Open(VerifyReads::kFirst);
  ExpectWhole(pair_, kPair);
  const auto result =
      store_->Scrub([](const ScrubProgress&) { return absl::OkStatus(); });
  ASSERT_OK(result.status());
  EXPECT_EQ(result->blobs_read, 2);
  EXPECT_EQ(result->num_found, 0);
}

TEST_F(QuarantineTest, APackOfWhichAllWasLostIsRemoved) {
  Lose(kFirst);
  Lose(kSecond);
  ASSERT_OK(Save(*store_, kPair).status());
  ExpectWhole(pair_, kPair);
  EXPECT_THAT(Packs(), SizeIs(1));
  EXPECT_NE(paths_.Pack(Packs()[0]), path_);
}

TEST_F(QuarantineTest, AnUploadOfAPartBringsThatPartBack) {
  Lose(kFirst);
  Lose(kSecond);
  ASSERT_OK(Save(*store_, kFirst).status());
  EXPECT_THAT(Damaged(), ::testing::ElementsAre("second"));
  EXPECT_OK(Read(kFirst));
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(QuarantineTest, ScratchSpaceBringsItBackToo) {
  Lose(kFirst);
  const std::string& bytes = kFirst[0].second;
  const std::unique_ptr<Draft> draft = store_->NewDraft();
  ASSERT_OK_AND_ASSIGN(const absl::Span<char> space,
                       draft->NewScratch(static_cast<int64_t>(bytes.size())));
  std::copy(bytes.begin(), bytes.end(), space.begin());
  draft->AddBlob(nullptr, 0, BlobOf(bytes));
  NewCheckpoint request;
  request.manifest = ManifestOf(kFirst);
  ASSERT_OK(draft->Commit(request).status());
  ExpectWhole(pair_, kPair);
}

TEST_F(QuarantineTest, ASmallTensorIsBroughtBackWhereItWas) {
  const CheckpointName small = Save(*store_, kSmall).value().name;
  LoseSmall();
  ASSERT_OK(Save(*store_, kSmall).status());
  ExpectWhole(small, kSmall);
  EXPECT_THAT(Packs(), SizeIs(1));
}

TEST_F(QuarantineTest, ASmallTensorIsBroughtBackInAPack) {
  const CheckpointName small = Save(*store_, kSmall).value().name;
  LoseSmall();
  ASSERT_OK(
      Save(*store_, {kSmall[0], {"large", RandomBytes(140'000, 9)}}).status());
  ExpectWhole(small, kSmall);
  EXPECT_THAT(Packs(), SizeIs(2));
}

TEST_F(QuarantineTest, ATensorOfAPackIsBroughtBackInTheCatalog) {
  // Small, but it came with a large one.
  const CheckpointName both =
      Save(*store_, {kSmall[0], {"large", RandomBytes(140'000, 9)}})
          .value()
          .name;
  for (const std::string& pack : Packs()) {
    if (paths_.Pack(pack) != path_)
      FlipBit(paths_.Pack(pack), kSmall[0].second);
  }
  EXPECT_THAT(Read(kSmall), StatusIs(absl::StatusCode::kDataLoss));
  ASSERT_OK(Save(*store_, kSmall).status());
  ExpectWhole(both, {kSmall[0], {"large", RandomBytes(140'000, 9)}});
  EXPECT_THAT(Packs(), SizeIs(2));
}

TEST_F(QuarantineTest, WhatWasBroughtBackIsDeletedAsAnyOther) {
  Lose(kFirst);
  Lose(kSecond);
  const CheckpointName again = Save(*store_, kPair).value().name;
  ASSERT_OK(store_->DeleteCheckpoint(pair_, false));
  ExpectWhole(again, kPair);
  ASSERT_OK(store_->DeleteCheckpoint(again, false));
  EXPECT_THAT(Packs(), IsEmpty());
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(QuarantineTest, WhatIsDamagedIsDeletedAsAnyOther) {
  Lose(kFirst);
  ASSERT_OK(store_->DeleteCheckpoint(pair_, false));
  EXPECT_THAT(Damaged(), IsEmpty());
  EXPECT_THAT(Packs(), IsEmpty());
  const CheckpointName again = Save(*store_, kPair).value().name;
  ExpectWhole(again, kPair);
}

TEST_F(QuarantineTest, AReferenceAloneIsRefused) {
  ASSERT_OK(SaveReferences(*store_, kPair).status());
  Lose(kSecond);
  EXPECT_THAT(SaveReferences(*store_, kPair),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr(Digest::Of(kSecond[0].second).ToHex())));
  EXPECT_OK(SaveReferences(*store_, kFirst).status());
}

}  // namespace
}  // namespace warmstart::store
