#include "server/store/maintenance/scrub.h"

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/local/paths.h"
#include "server/store/sqlite/sqlite_db.h"
#include "server/store/store.h"
#include "tests/store/simulated_store.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/faulty_file_system.h"
#include "tests/testing/simulated_disk.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::Fault;
using ::warmstart::testing::kPowerLosses;
using ::warmstart::testing::PowerLoss;
using ::warmstart::testing::StatusIs;

// Too much for the catalog, and, in the last, for one piece of a scan.
const Tensors kPack = {{"first", RandomBytes(140'000, 1)},
                       {"second", RandomBytes(150'000, 2)}};
const Tensors kOther = {{"other", RandomBytes(2'500'000, 3)}};
const Tensors kSmall = {{"small", RandomBytes(1000, 4)}};

absl::Status Ignore(const ScrubProgress&) { return absl::OkStatus(); }

class ScrubTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Open();
    pack_ = Save(*store_, kPack).value().name;
    path_ = paths_.Pack(FilesIn(paths_.PacksDir()).at(0));
    other_ = Save(*store_, kOther).value().name;
    small_ = Save(*store_, kSmall).value().name;
  }

  void Open() {
    store_.reset();
    store_ = OpenStore(dir_.path(), file_system_, clock_).value();
  }

  ScrubResult Scrub() {
    const absl::StatusOr<ScrubResult> result = store_->Scrub(Ignore);
    EXPECT_OK(result.status());
    return result.value_or(ScrubResult());
  }

  // The keys that need what is in quarantine.
  std::vector<std::string> DamagedKeys() {
    std::vector<std::string> keys;
    const Damage damage = store_->FindDamage(DamageLimits()).value();
    for (const DamagedBlob& blob : damage.blobs) {
      for (const TensorUse& use : blob.uses) keys.push_back(use.key);
    }
    return keys;
  }

  void SpoilSmall() {
    ASSERT_OK(SqliteDb::Open(paths_.Catalog())
                  .value()
                  ->RunScript("UPDATE small_blobs SET bytes = zeroblob(1000)"));
  }

  testing::TempDir dir_;
  const StorePaths paths_{dir_.path()};
  testing::FaultyFileSystem file_system_{PosixFileSystem()};
  testing::FakeClock clock_;
  std::unique_ptr<Store> store_;
  CheckpointName pack_, other_, small_;
  std::string path_;  // of the pack of kPack
};

TEST_F(ScrubTest, AnIntactStoreIsReadAsAWhole) {
  const ScrubResult result = Scrub();
  EXPECT_EQ(result.blobs_read, 4);
  EXPECT_EQ(result.bytes_read, 2'791'000);
  EXPECT_EQ(result.num_found, 0);
  EXPECT_EQ(result.num_cleared, 0);
  EXPECT_EQ(result.damage.num_blobs, 0);
  EXPECT_THAT(result.damage.blobs, IsEmpty());
}

TEST_F(ScrubTest, AnEmptyStoreIsIntact) {
  for (const CheckpointName& name : {pack_, other_, small_}) {
    ASSERT_OK(store_->DeleteCheckpoint(name, false));
  }
  EXPECT_EQ(Scrub().blobs_read, 0);
}

TEST_F(ScrubTest, AFlippedBitIsFoundAndNamed) {
  const auto& [key, bytes] = kPack[1];
  FlipBit(path_, bytes);
  const ScrubResult result = Scrub();
  EXPECT_EQ(result.blobs_read, 4);
  EXPECT_EQ(result.num_found, 1);
  ASSERT_THAT(result.damage.blobs, SizeIs(1));
  const DamagedBlob& blob = result.damage.blobs[0];
  EXPECT_EQ(blob.digest, Digest::Of(bytes));
  EXPECT_EQ(blob.damage_time, clock_.Now());
  EXPECT_EQ(paths_.Pack(blob.pack), path_);
  EXPECT_EQ(blob.num_bytes, 150'000);
  ASSERT_THAT(blob.uses, SizeIs(1));
  EXPECT_EQ(blob.uses[0].checkpoint, pack_);
  EXPECT_EQ(blob.uses[0].key, key);
  // It is not handed out any more, and what lies beside it is.
  EXPECT_THAT(store_->OpenBlob(Digest::Of(bytes)),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_OK(store_->OpenBlob(Digest::Of(kPack[0].second)).status());
}

TEST_F(ScrubTest, WhatWasReadIntactBeforeIsFoundToo) {
  ASSERT_OK(CheckReadable(*store_, pack_, kPack));
  FlipBit(path_, kPack[0].second);
  EXPECT_EQ(Scrub().num_found, 1);
  EXPECT_THAT(store_->OpenBlob(Digest::Of(kPack[0].second)),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(ScrubTest, WhatLiesInADamagedPackIsVerifiedAgain) {
  ASSERT_OK(CheckReadable(*store_, pack_, kPack));
  FlipBit(path_, kPack[0].second);
  EXPECT_EQ(Scrub().num_found, 1);
  FlipBit(path_, kPack[1].second);
  EXPECT_THAT(store_->OpenBlob(Digest::Of(kPack[1].second)),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(ScrubTest, ASmallTensorIsFoundToo) {
  SpoilSmall();
  EXPECT_EQ(Scrub().num_found, 1);
  EXPECT_THAT(DamagedKeys(), ElementsAre("small"));
}

TEST_F(ScrubTest, APackThatIsGoneTakesAllItsTensors) {
  std::filesystem::remove(path_);
  EXPECT_EQ(Scrub().num_found, 2);
  EXPECT_THAT(DamagedKeys(), ElementsAre("first", "second"));
}

TEST_F(ScrubTest, APackThatIsShortTakesWhatIsCut) {
  std::filesystem::resize_file(path_, 140'100);
  EXPECT_EQ(Scrub().num_found, 1);
  EXPECT_THAT(DamagedKeys(), ElementsAre("second"));
}

TEST_F(ScrubTest, WhatIsKnownIsNotFoundAgainAndKeepsItsTime) {
  FlipBit(path_, kPack[0].second);
  const absl::Time found = clock_.Now();
  EXPECT_EQ(Scrub().num_found, 1);
  clock_.Advance(absl::Hours(1));
  const ScrubResult again = Scrub();
  EXPECT_EQ(again.num_found, 0);
  ASSERT_THAT(again.damage.blobs, SizeIs(1));
  EXPECT_EQ(again.damage.blobs[0].damage_time, found);
}

TEST_F(ScrubTest, QuarantineOutlivesTheProcess) {
  FlipBit(path_, kPack[0].second);
  EXPECT_EQ(Scrub().num_found, 1);
  Open();
  EXPECT_THAT(DamagedKeys(), ElementsAre("first"));
}

TEST_F(ScrubTest, WhatIsAsItShouldBeAgainIsTakenOut) {
  FlipBit(path_, kPack[0].second);
  EXPECT_EQ(Scrub().num_found, 1);
  const std::string away = dir_.Join("away");
  std::filesystem::rename(path_, away);
  EXPECT_EQ(Scrub().num_found, 1);
  std::filesystem::rename(away, path_);
  const ScrubResult once = Scrub();
  EXPECT_EQ(once.num_cleared, 1);
  EXPECT_THAT(DamagedKeys(), ElementsAre("first"));
  // By hand, the other way.
  std::string flipped = kPack[0].second;
  flipped[flipped.size() / 2] ^= 1;
  FlipBit(path_, flipped);
  EXPECT_EQ(Scrub().num_cleared, 1);
  EXPECT_OK(CheckReadable(*store_, pack_, kPack));
}

TEST_F(ScrubTest, AnErrorOfTheDiskThatPassesFindsNothing) {
  int step = 0;
  for (bool failed = true; failed; ++step) {
    SCOPED_TRACE(step);
    file_system_.FailAt(step, absl::DataLossError("EIO"));
    const ScrubResult result = Scrub();
    failed = file_system_.has_struck();
    EXPECT_EQ(result.blobs_read, 4);
    EXPECT_EQ(result.damage.num_blobs, 0);
  }
  EXPECT_GT(step, 6);
}

TEST_F(ScrubTest, AFileThatCannotBeOpenedEndsItWithoutAVerdict) {
  file_system_.CrashAt(0);
  EXPECT_THAT(store_->Scrub(Ignore), StatusIs(absl::StatusCode::kInternal));
  file_system_.Heal();
  EXPECT_THAT(DamagedKeys(), IsEmpty());
}

TEST_F(ScrubTest, ProgressGrowsToItsTotals) {
  ScrubProgress last;
  EXPECT_OK(store_
                ->Scrub([&](const ScrubProgress& progress) {
                  EXPECT_EQ(progress.num_blobs, 4);
                  EXPECT_EQ(progress.num_bytes, 2'791'000);
                  EXPECT_GE(progress.bytes_read, last.bytes_read);
                  EXPECT_GE(progress.blobs_read, last.blobs_read);
                  last = progress;
                  return absl::OkStatus();
                })
                .status());
  EXPECT_EQ(last.bytes_read, 2'791'000);
}

TEST_F(ScrubTest, WhatWasFoundBeforeItWasBrokenOffIsKept) {
  SpoilSmall();
  // Those that the catalog keeps come first; this is in a pack.
  const auto result = store_->Scrub([](const ScrubProgress& progress) {
    return progress.bytes_read > 10'000 ? absl::CancelledError("enough")
                                        : absl::OkStatus();
  });
  EXPECT_THAT(result, StatusIs(absl::StatusCode::kCancelled, "enough"));
  EXPECT_THAT(DamagedKeys(), ElementsAre("small"));
}

TEST_F(ScrubTest, WhatIsDeletedMeanwhileIsNoDamage) {
  bool deleted = false;
  const auto result = store_->Scrub([&](const ScrubProgress& progress) {
    // In the middle of the first pack, with the other one still to come.
    if (progress.bytes_read > 1000 && !std::exchange(deleted, true)) {
      for (const CheckpointName& name : {pack_, other_, small_}) {
        EXPECT_OK(store_->DeleteCheckpoint(name, false));
      }
    }
    return absl::OkStatus();
  });
  EXPECT_OK(result.status());
  EXPECT_TRUE(deleted);
  EXPECT_THAT(DamagedKeys(), IsEmpty());
}

// The power goes, or the disk fails, at every step of a scrub that finds
// something: afterwards it is in quarantine or not, and once the scrub has said
// so, it is.
class ScrubFaultTest : public ::testing::TestWithParam<Fault> {
 protected:
  static constexpr int kManySteps = 2000;

  // With a damaged tensor in a pack, and one in the catalog, of which nobody
  // knows.
  void SetUp() override {
    SimulatedStore simulated(std::make_unique<testing::SimulatedDisk>());
    ASSERT_OK(simulated.Open());
    ASSERT_OK(Save(simulated.store(), kPack).status());
    ASSERT_OK(Save(simulated.store(), kSmall).status());
    ASSERT_OK(simulated.Spoil(kPack[0].second));
    ASSERT_OK(simulated.Spoil(kSmall[0].second));
    simulated.Close();
    prepared_ = Copy(simulated.disk());
  }

  static std::unique_ptr<testing::SimulatedDisk> Copy(
      const testing::SimulatedDisk& disk) {
    return disk.AfterPowerLoss(PowerLoss::kLosesNothing, 0);
  }

  std::unique_ptr<testing::SimulatedDisk> prepared_;
};

INSTANTIATE_TEST_SUITE_P(, ScrubFaultTest,
                         ::testing::Values(Fault::kPowerLoss,
                                           Fault::kInputOutput, Fault::kNoSpace,
                                           Fault::kFullDisk));

TEST_P(ScrubFaultTest, AtAnyStepFindsAllOrFailsAndLosesNothing) {
  int step = 0;
  for (bool failed = true; failed && step < kManySteps; ++step) {
    SCOPED_TRACE(absl::StrCat("step ", step));
    SimulatedStore simulated(Copy(*prepared_));
    ASSERT_OK(simulated.Open());
    simulated.disk().FailAt(step, GetParam());
    const absl::StatusOr<ScrubResult> result = simulated.store().Scrub(Ignore);
    failed = simulated.disk().has_struck();
    EXPECT_TRUE(failed || result.ok());
    if (result.ok()) {
      EXPECT_EQ(result->num_found, 2);
    }
    simulated.Close();
    for (const PowerLoss loss : kPowerLosses) {
      SimulatedStore found(simulated.disk().AfterPowerLoss(loss, step));
      ASSERT_OK(found.Open());
      ASSERT_OK_AND_ASSIGN(const Damage damage,
                           found.store().FindDamage(DamageLimits()));
      if (result.ok()) {
        EXPECT_EQ(damage.num_blobs, 2);
      }
      EXPECT_OK(found.CheckSound());
      // The next one finds the rest, and nothing that is intact.
      ASSERT_OK_AND_ASSIGN(const ScrubResult next, found.store().Scrub(Ignore));
      EXPECT_EQ(next.num_found, 2 - damage.num_blobs);
      EXPECT_EQ(next.damage.num_blobs, 2);
    }
    if (HasFailure()) return;
  }
  EXPECT_GT(step, 2);
  EXPECT_LT(step, kManySteps);
}

}  // namespace
}  // namespace warmstart::store
