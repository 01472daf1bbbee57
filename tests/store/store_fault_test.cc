// The disk fails at every step of everything that the store does: an error of
// the device, a full disk, a full quota, a sync that fails. The request fails
// in words and leaves nothing behind, nothing is taken for written that was
// not, and the store goes on.

#include <memory>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/local/paths.h"
#include "server/store/store.h"
#include "tests/store/simulated_store.h"
#include "tests/store/store_operations.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/simulated_disk.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::_;
using ::testing::AnyOf;
using ::testing::Combine;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::Values;
using ::testing::ValuesIn;
using ::warmstart::testing::Fault;
using ::warmstart::testing::kPowerLosses;
using ::warmstart::testing::PowerLoss;
using ::warmstart::testing::SimulatedDisk;
using ::warmstart::testing::StatusIs;

// More steps than any operation here takes; a bound on the loops.
constexpr int kManySteps = 5000;

const char* NameOf(Fault fault) {
  switch (fault) {
    case Fault::kInputOutput:
      return "InputOutputError";
    case Fault::kNoSpace:
      return "NoSpace";
    case Fault::kQuota:
      return "FullQuota";
    case Fault::kFullDisk:
      return "FullDisk";
    case Fault::kPowerLoss:
      return "PowerLoss";
  }
  return "";
}

class StoreFaultTest
    : public ::testing::TestWithParam<std::tuple<StoreOperation, Fault>> {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(prepared_, PreparedDisk(Before::kKilled));
    SimulatedStore simulated(Copy(*prepared_));
    ASSERT_OK(simulated.Open());
    ASSERT_OK_AND_ASSIGN(before_, simulated.Describe());
    ASSERT_OK(Run(simulated));
    ASSERT_OK_AND_ASSIGN(after_, simulated.Describe());
  }

  static Fault fault() { return std::get<Fault>(GetParam()); }
  static absl::Status Run(SimulatedStore& simulated) {
    return std::get<StoreOperation>(GetParam()).run(simulated);
  }
  static std::unique_ptr<SimulatedDisk> Copy(const SimulatedDisk& disk) {
    return disk.AfterPowerLoss(PowerLoss::kLosesNothing, 0);
  }

  // Whether such an error is an error of the device.
  static ::testing::Matcher<absl::string_view> DeviceMayFail() {
    if (fault() == Fault::kInputOutput) return _;
    // SQLITE_IOERR_FSYNC, _DIR_FSYNC and _TRUNCATE; and _DELETE, of the journal
    // of a catalog's copy.
    return AnyOf(HasSubstr("error 1034"), HasSubstr("error 1290"),
                 HasSubstr("error 1546"), HasSubstr("error 2570"));
  }

  // What the next process finds, be the power lost or the process killed.
  template <typename Matcher>
  static void ExpectFound(const SimulatedDisk& disk, const Matcher& matcher) {
    for (const PowerLoss loss :
         {PowerLoss::kLosesAll, PowerLoss::kLosesNothing}) {
      SCOPED_TRACE(absl::StrCat("power loss ", static_cast<int>(loss)));
      SimulatedStore found(disk.AfterPowerLoss(loss, 0));
      ASSERT_OK(found.Open());
      ASSERT_OK_AND_ASSIGN(const std::string holds, found.Describe());
      EXPECT_THAT(holds, matcher);
      EXPECT_OK(found.CheckSound());
    }
  }

  std::unique_ptr<SimulatedDisk> prepared_;
  std::string before_;
  std::string after_;
};

INSTANTIATE_TEST_SUITE_P(, StoreFaultTest,
                         Combine(ValuesIn(StoreOperations()),
                                 Values(Fault::kInputOutput, Fault::kNoSpace,
                                        Fault::kQuota, Fault::kFullDisk)),
                         [](const auto& info) {
                           return absl::StrCat(
                               std::get<StoreOperation>(info.param).name,
                               NameOf(std::get<Fault>(info.param)));
                         });

TEST_P(StoreFaultTest, AtAnyStepIsReportedAndLeavesNothing) {
  int step = 0;
  for (bool failed = true; failed && step < kManySteps; ++step) {
    SCOPED_TRACE(absl::StrCat("step ", step));
    SimulatedStore simulated(Copy(*prepared_));
    ASSERT_OK(simulated.Open());
    simulated.disk().FailAt(step, fault());
    const absl::Status status = Run(simulated);
    failed = simulated.disk().has_struck();
    simulated.disk().Heal();
    if (!simulated.is_open()) {
      ASSERT_OK(simulated.Open());
    }

    ASSERT_OK_AND_ASSIGN(const std::string holds, simulated.Describe());
    SCOPED_TRACE(status.ToString());
    EXPECT_EQ(holds, status.ok() ? after_ : before_);
    EXPECT_TRUE(failed || status.ok());
    if (absl::IsInternal(status)) {
      // An error of the device leaves open what the next process will find, and
      // so does any of the catalog's syncs.
      ExpectFound(simulated.disk(), AnyOf(before_, after_));
      EXPECT_THAT(status.message(), DeviceMayFail());
    } else {
      ExpectFound(simulated.disk(), holds);
      if (!status.ok()) {
        EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
        EXPECT_OK(simulated.CheckSound());
      }
    }
    // What comes after it is durable, and settles what was open.
    EXPECT_OK(simulated.CheckWorks());
    ExpectFound(simulated.disk(), holds);
    if (HasFailure()) return;
  }
  EXPECT_LT(step, kManySteps);
}

// A commit of which nobody knows whether it was done leaves its pack. A
// collection may remove that: it makes sure first that the commit was not.
TEST(StoreOpenOutcomeTest, WhatItLeftIsCollectedAndNothingIsLost) {
  const Tensors tensors = {{"w", RandomBytes(140'000, 1)}};
  int num_strays = 0;
  int step = 0;
  for (bool failed = true; failed && step < kManySteps; ++step) {
    SCOPED_TRACE(absl::StrCat("step ", step));
    SimulatedStore simulated(std::make_unique<SimulatedDisk>());
    ASSERT_OK(simulated.Open());
    simulated.disk().FailAt(step, Fault::kInputOutput);
    const auto saved = Save(simulated.store(), tensors);
    failed = simulated.disk().has_struck();
    simulated.disk().Heal();
    ASSERT_OK_AND_ASSIGN(const Collection collection,
                         simulated.store().CollectGarbage({}));
    num_strays += collection.num_strays;
    EXPECT_OK(simulated.CheckSound());
    for (const PowerLoss loss : kPowerLosses) {
      SimulatedStore found(simulated.disk().AfterPowerLoss(loss, step));
      ASSERT_OK(found.Open());
      EXPECT_OK(found.CheckSound());
      ASSERT_OK_AND_ASSIGN(const CheckpointPage page,
                           found.store().ListCheckpoints({}));
      // Then the commit is known not to have been done.
      if (collection.num_strays > 0) {
        EXPECT_THAT(page.checkpoints, IsEmpty());
      }
      for (const Checkpoint& checkpoint : page.checkpoints) {
        EXPECT_OK(CheckReadable(found.store(), checkpoint.name, tensors));
      }
      if (saved.ok()) {
        EXPECT_THAT(page.checkpoints, SizeIs(1));
      }
    }
  }
  EXPECT_GT(num_strays, 0);
  EXPECT_LT(step, kManySteps);
}

TEST(StoreFullDiskTest, ChunkThatDoesNotFitIsResourceExhausted) {
  SimulatedStore simulated(std::make_unique<SimulatedDisk>());
  ASSERT_OK(simulated.Open());
  {
    const std::unique_ptr<Draft> draft = simulated.store().NewDraft();
    ASSERT_OK_AND_ASSIGN(StagedFile* const file, draft->NewFile());
    ASSERT_OK(file->Append("first chunk"));
    simulated.disk().FailAt(0, Fault::kFullDisk);
    EXPECT_THAT(file->Append("second chunk"),
                StatusIs(absl::StatusCode::kResourceExhausted));
  }
  EXPECT_OK(simulated.CheckSound());
  simulated.disk().Heal();
  EXPECT_OK(simulated.CheckWorks());
}

TEST(StoreFullDiskTest, ScratchThatDoesNotFitIsResourceExhausted) {
  // On the real disk.
  const testing::TempDir dir;
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Store> store,
                       OpenStore(dir.path()));
  EXPECT_THAT(store->NewDraft()->NewScratch(int64_t{1} << 60),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(FilesIn(StorePaths(dir.path()).StagingDir()), IsEmpty());
}

}  // namespace
}  // namespace warmstart::store
