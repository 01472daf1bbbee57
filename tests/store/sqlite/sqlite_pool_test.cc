#include "server/store/sqlite/sqlite_pool.h"

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/sqlite/sqlite_schema.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

constexpr char kCount[] = "SELECT count(*) FROM packs";

class SqlitePoolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(writer_, SqliteDb::Open(path_));
    ASSERT_OK(MigrateSqliteSchema(*writer_));
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.Join("db");
  std::unique_ptr<SqliteDb> writer_;
};

TEST_F(SqlitePoolTest, AConnectionIsLentAgain) {
  SqlitePool pool(path_, 4);
  SqliteDb* first;
  {
    ASSERT_OK_AND_ASSIGN(const auto lease, pool.Acquire());
    first = &*lease;
  }
  ASSERT_OK_AND_ASSIGN(const auto lease, pool.Acquire());
  EXPECT_EQ(&*lease, first);
  ASSERT_OK_AND_ASSIGN(const auto another, pool.Acquire());
  EXPECT_NE(&*another, first);
}

TEST_F(SqlitePoolTest, AtTheLimitOneWaitsForAnother) {
  SqlitePool pool(path_, 1);
  auto lease = std::make_unique<SqlitePool::Lease>(pool.Acquire().value());
  absl::Notification acquired;
  std::thread waiter([&] {
    EXPECT_OK(pool.Acquire().status());
    acquired.Notify();
  });
  EXPECT_FALSE(acquired.WaitForNotificationWithTimeout(absl::Milliseconds(20)));
  lease.reset();
  acquired.WaitForNotification();
  waiter.join();
}

TEST_F(SqlitePoolTest, ReadersSeeTheLastCommitWhileTheNextIsWritten) {
  SqlitePool pool(path_, 1);
  SqliteTransaction transaction(*writer_);
  ASSERT_OK(transaction.BeginWrite());
  ASSERT_OK(
      writer_->Run("INSERT INTO packs (name, num_bytes) VALUES ('p', 1)"));
  {
    ASSERT_OK_AND_ASSIGN(const auto lease, pool.Acquire());
    EXPECT_THAT((*lease).FindInt(kCount), IsOkAndHolds(Optional(0)));
  }
  ASSERT_OK(transaction.Commit());
  ASSERT_OK_AND_ASSIGN(const auto lease, pool.Acquire());
  EXPECT_THAT((*lease).FindInt(kCount), IsOkAndHolds(Optional(1)));
}

TEST_F(SqlitePoolTest, ASnapshotStaysWhileOthersWrite) {
  SqlitePool pool(path_, 1);
  ASSERT_OK_AND_ASSIGN(const auto lease, pool.Acquire());
  SqliteTransaction snapshot(*lease);
  ASSERT_OK(snapshot.BeginRead());
  EXPECT_THAT((*lease).FindInt(kCount), IsOkAndHolds(Optional(0)));
  ASSERT_OK(
      writer_->Run("INSERT INTO packs (name, num_bytes) VALUES ('p', 1)"));
  EXPECT_THAT((*lease).FindInt(kCount), IsOkAndHolds(Optional(0)));
}

TEST_F(SqlitePoolTest, ReadersCannotWrite) {
  SqlitePool pool(path_, 1);
  ASSERT_OK_AND_ASSIGN(const auto lease, pool.Acquire());
  EXPECT_THAT((*lease).Run("DELETE FROM packs"),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(SqlitePoolTest, AConnectionThatCannotBeOpenedTakesNoPlace) {
  SqlitePool pool(dir_.Join("no/db"), 1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(pool.Acquire().status(),
                StatusIs(absl::StatusCode::kInternal, HasSubstr("no/db")));
  }
}

}  // namespace
}  // namespace warmstart::store
