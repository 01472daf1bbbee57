// The power goes at every step of everything that the store does. Whatever the
// disk then kept of what was not synced, the next process must find what was
// answered, and all or nothing of what was not; nothing that nobody references
// may be left, and the store must go on working.

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/status_macros.h"
#include "server/store/local/paths.h"
#include "server/store/sqlite/sqlite_db.h"
#include "server/store/sqlite/sqlite_schema.h"
#include "tests/store/simulated_store.h"
#include "tests/store/store_operations.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/simulated_disk.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::store {
namespace {

using ::testing::AnyOf;
using ::testing::Combine;
using ::testing::Values;
using ::testing::ValuesIn;
using ::warmstart::testing::Fault;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::kPowerLosses;
using ::warmstart::testing::PowerLoss;
using ::warmstart::testing::SimulatedDisk;

// More steps than any operation here takes; a bound on the loops.
constexpr int kManySteps = 2000;

class StoreCrashTest
    : public ::testing::TestWithParam<std::tuple<StoreOperation, Before>> {
 protected:
  // What the store holds before the operation, and after it.
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(prepared_, PreparedDisk(std::get<Before>(GetParam())));
    SimulatedStore simulated(Copy());
    ASSERT_OK(simulated.Open());
    ASSERT_OK_AND_ASSIGN(before_, simulated.Describe());
    ASSERT_OK(Run(simulated));
    simulated.Close();
    ASSERT_OK(simulated.Open());
    ASSERT_OK_AND_ASSIGN(after_, simulated.Describe());
    ASSERT_OK(simulated.CheckSound());
  }

  static absl::Status Run(SimulatedStore& simulated) {
    return std::get<StoreOperation>(GetParam()).run(simulated);
  }

  std::unique_ptr<SimulatedDisk> Copy() const {
    return prepared_->AfterPowerLoss(PowerLoss::kLosesNothing, 0);
  }

  // Of what the next process finds.
  void CheckFound(std::unique_ptr<SimulatedDisk> disk, bool answered,
                  bool works) {
    SimulatedStore found(std::move(disk));
    ASSERT_OK(found.Open());
    ASSERT_OK_AND_ASSIGN(const std::string holds, found.Describe());
    if (answered) {
      EXPECT_EQ(holds, after_);
    } else {
      EXPECT_THAT(holds, AnyOf(before_, after_));
    }
    EXPECT_OK(found.CheckSound());
    if (works) {
      EXPECT_OK(found.CheckWorks());
      EXPECT_OK(found.CheckSound());
    }
  }

  std::unique_ptr<SimulatedDisk> prepared_;
  std::string before_;
  std::string after_;
};

INSTANTIATE_TEST_SUITE_P(, StoreCrashTest,
                         Combine(ValuesIn(StoreOperations()),
                                 Values(Before::kStopped, Before::kKilled)),
                         [](const auto& info) {
                           return absl::StrCat(
                               std::get<StoreOperation>(info.param).name,
                               std::get<Before>(info.param) == Before::kStopped
                                   ? "AfterAStop"
                                   : "AfterAKill");
                         });

TEST_P(StoreCrashTest, AtAnyStepLeavesAllOrNothing) {
  int step = 0;
  for (bool crashed = true; crashed && step < kManySteps; ++step) {
    SCOPED_TRACE(absl::StrCat("step ", step));
    SimulatedStore simulated(Copy());
    ASSERT_OK(simulated.Open());
    simulated.disk().FailAt(step, Fault::kPowerLoss);
    const bool answered = Run(simulated).ok();
    crashed = simulated.disk().has_struck();
    EXPECT_TRUE(answered || crashed);
    // Where all went well, the power goes right after the answer.
    simulated.Close();
    for (const PowerLoss loss : kPowerLosses) {
      SCOPED_TRACE(absl::StrCat("power loss ", static_cast<int>(loss)));
      CheckFound(simulated.disk().AfterPowerLoss(loss, step), answered,
                 loss == PowerLoss::kLosesAnything);
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(step, std::get<StoreOperation>(GetParam()).least_changes);
  EXPECT_LT(step, kManySteps);
}

// A folder that a server begins to use, and one that was left behind by a crash
// in the middle of a save.
TEST(StoreOpenCrashTest, ACrashAtAnyStepOfTheFirstStartIsMendedByTheNext) {
  int step = 0;
  for (bool crashed = true; crashed && step < kManySteps; ++step) {
    SCOPED_TRACE(absl::StrCat("step ", step));
    SimulatedStore simulated(std::make_unique<SimulatedDisk>());
    simulated.disk().FailAt(step, Fault::kPowerLoss);
    const bool opened = simulated.Open().ok();
    crashed = simulated.disk().has_struck();
    EXPECT_TRUE(opened || crashed);
    simulated.Close();
    for (const PowerLoss loss : kPowerLosses) {
      SCOPED_TRACE(absl::StrCat("power loss ", static_cast<int>(loss)));
      SimulatedStore found(simulated.disk().AfterPowerLoss(loss, step));
      ASSERT_OK(found.Open());
      ASSERT_OK(found.CheckSound());
      ASSERT_OK(found.CheckWorks());
    }
  }
  EXPECT_GT(step, 20);
  EXPECT_LT(step, kManySteps);
}

// A catalog of the first version, with a row; then with an imagined version
// more, whose step writes many pages.
TEST(StoreOpenCrashTest, ACrashAtAnyStepOfAMigrationIsMendedByTheNext) {
  const std::string path = StorePaths(SimulatedStore::kDataDir).Catalog();
  const std::vector<const char*> migrations = {
      SqliteMigrations()[0],
      "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL "
      "                         SELECT i + 1 FROM n WHERE i < 300)"
      "INSERT INTO architectures SELECT 'a' || i, hex(zeroblob(50)) FROM n",
      "ALTER TABLE architectures ADD COLUMN color TEXT DEFAULT 'red'"};
  const auto migrate = [&](size_t versions) -> absl::StatusOr<int64_t> {
    ASSIGN_OR_RETURN(const std::unique_ptr<SqliteDb> db, SqliteDb::Open(path));
    RETURN_IF_ERROR(MigrateSqliteSchema(
        *db, absl::MakeConstSpan(migrations.data(), versions)));
    ASSIGN_OR_RETURN(const auto rows, db->FindInt("SELECT count(*) FROM "
                                                  "architectures"));
    return rows.value_or(0);
  };
  int step = 0;
  for (bool crashed = true; crashed && step < kManySteps; ++step) {
    SCOPED_TRACE(absl::StrCat("step ", step));
    SimulatedDisk disk;
    ASSERT_OK(disk.CreateDirectory(SimulatedStore::kDataDir));
    {
      const SimulatedVfs vfs(disk);
      ASSERT_THAT(migrate(1), IsOkAndHolds(0));
      disk.FailAt(step, Fault::kPowerLoss);
      const bool migrated = migrate(migrations.size()).ok();
      crashed = disk.has_struck();
      EXPECT_TRUE(migrated || crashed);
    }
    for (const PowerLoss loss : kPowerLosses) {
      SCOPED_TRACE(absl::StrCat("power loss ", static_cast<int>(loss)));
      const auto found = disk.AfterPowerLoss(loss, step);
      const SimulatedVfs vfs(*found);
      ASSERT_THAT(migrate(migrations.size()), IsOkAndHolds(300));
      ASSERT_THAT(migrate(migrations.size()), IsOkAndHolds(300));
    }
  }
  EXPECT_GT(step, 20);
  EXPECT_LT(step, kManySteps);
}

TEST(StoreOpenCrashTest, ACrashAtAnyStepOfTheSweepIsMendedByTheNext) {
  const StorePaths paths(SimulatedStore::kDataDir);
  int step = 0;
  for (bool crashed = true; crashed && step < kManySteps; ++step) {
    SCOPED_TRACE(absl::StrCat("step ", step));
    ASSERT_OK_AND_ASSIGN(std::unique_ptr<SimulatedDisk> disk,
                         PreparedDisk(Before::kKilled));
    for (const char letter : {'a', 'b'}) {
      ASSERT_OK(disk->Create(paths.Staged(std::string(32, letter))).status());
      ASSERT_OK(disk->Create(paths.Pack(std::string(32, letter))).status());
    }
    SimulatedStore simulated(std::move(disk));
    simulated.disk().FailAt(step, Fault::kPowerLoss);
    const bool opened = simulated.Open().ok();
    crashed = simulated.disk().has_struck();
    EXPECT_TRUE(opened || crashed);
    simulated.Close();
    for (const PowerLoss loss : kPowerLosses) {
      SimulatedStore found(simulated.disk().AfterPowerLoss(loss, step));
      ASSERT_OK(found.Open());
      ASSERT_OK(found.CheckSound());
    }
  }
  EXPECT_GT(step, 4);
  EXPECT_LT(step, kManySteps);
}

}  // namespace
}  // namespace warmstart::store
