#include "server/store/sqlite/sqlite_checkpointer.h"

#include <filesystem>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/sqlite/sqlite_db.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::Optional;
using ::warmstart::testing::IsOkAndHolds;

// Some page of SQLite's default size, at least.
constexpr int kPageBytes = 4096;

class SqliteCheckpointerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(db_, SqliteDb::Open(path_));
    ASSERT_OK(db_->RunScript("PRAGMA journal_mode = WAL"));
    ASSERT_OK(db_->RunScript("CREATE TABLE t (v BLOB)"));
    db_->SetCommitHook([this](int pages) { log_pages_ = pages; });
  }

  void Write(int pages) {
    ASSERT_OK(
        db_->Run("INSERT INTO t VALUES (zeroblob(?))", pages * kPageBytes));
  }

  int64_t DatabaseBytes() const {
    return static_cast<int64_t>(std::filesystem::file_size(path_));
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.Join("db");
  std::unique_ptr<SqliteDb> db_;
  int log_pages_ = 0;
};

TEST_F(SqliteCheckpointerTest, ACommitLeavesTheLogAsItIs) {
  const int64_t size = DatabaseBytes();
  for (int i = 0; i < 3; ++i) Write(SqliteCheckpointer::kLongPages);
  EXPECT_GT(log_pages_, 3 * SqliteCheckpointer::kLongPages);
  EXPECT_EQ(DatabaseBytes(), size);
}

TEST_F(SqliteCheckpointerTest, ALongLogIsCopiedAndThenBegunAnew) {
  ASSERT_OK_AND_ASSIGN(const auto checkpointer,
                       SqliteCheckpointer::Start(path_));
  Write(SqliteCheckpointer::kLongPages);
  checkpointer->OnCommit(log_pages_);
  const int64_t copied = int64_t{SqliteCheckpointer::kLongPages} * kPageBytes;
  while (DatabaseBytes() < copied) absl::SleepFor(absl::Milliseconds(1));
  // The copy may not have ended when the last page is there.
  for (Write(1); log_pages_ > SqliteCheckpointer::kLongPages; Write(1)) {
    checkpointer->OnCommit(log_pages_);
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_THAT(db_->FindInt("SELECT sum(length(v)) >= ? FROM t", copied),
              IsOkAndHolds(Optional(1)));
}

TEST_F(SqliteCheckpointerTest, AShortLogStaysWhereItIs) {
  const int64_t size = DatabaseBytes();
  {
    ASSERT_OK_AND_ASSIGN(const auto checkpointer,
                         SqliteCheckpointer::Start(path_));
    Write(1);
    checkpointer->OnCommit(log_pages_);
  }
  EXPECT_EQ(DatabaseBytes(), size);
}

TEST_F(SqliteCheckpointerTest, ALogThatIsTooLongIsBegunAnewByForce) {
  ASSERT_OK_AND_ASSIGN(const auto checkpointer,
                       SqliteCheckpointer::Start(path_));
  Write(100);
  checkpointer->OnCommit(SqliteCheckpointer::kTooLongPages);
  for (int before = 0; before <= log_pages_;) {
    absl::SleepFor(absl::Milliseconds(1));
    before = log_pages_;
    Write(1);
  }
}

TEST_F(SqliteCheckpointerTest, EndingWaitsForTheCopyUnderWay) {
  for (int i = 0; i < 20; ++i) {
    Write(SqliteCheckpointer::kLongPages);
    ASSERT_OK_AND_ASSIGN(const auto checkpointer,
                         SqliteCheckpointer::Start(path_));
    checkpointer->OnCommit(log_pages_);
  }
  EXPECT_THAT(db_->FindInt("SELECT count(*) FROM t"),
              IsOkAndHolds(Optional(20)));
}

}  // namespace
}  // namespace warmstart::store
