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

// Commits wait where more than that was not copied. Each adds less than 2000.
constexpr int64_t kLongestLog =
    SqliteCheckpointer::kTooLongPages + SqliteCheckpointer::kLongPages + 2000;

// What is left of a log that was longer: 32 MiB.
constexpr int64_t kCutPages = 8192;

class SqliteCheckpointerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(db_, SqliteDb::OpenForWriting(path_));
    ASSERT_OK(db_->RunScript("PRAGMA journal_mode = WAL"));
    ASSERT_OK(db_->RunScript("CREATE TABLE t (v BLOB)"));
    db_->SetCommitHook([this](int pages) { log_pages_ = pages; });
  }

  void Write(int pages) {
    ASSERT_OK(
        db_->Run("INSERT INTO t VALUES (zeroblob(?))", pages * kPageBytes));
  }

  // As a catalog does: from within each commit.
  void CheckpointWith(SqliteCheckpointer& checkpointer) {
    db_->SetCommitHook([this, &checkpointer](int pages) {
      log_pages_ = pages;
      checkpointer.OnCommit(pages);
    });
  }

  int64_t LogBytes() const {
    return static_cast<int64_t>(std::filesystem::file_size(path_ + "-wal"));
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

// The copies of a log that one thread writes as fast as it can are late.
TEST_F(SqliteCheckpointerTest, ALogDoesNotGrowHoweverFastCommitsCome) {
  ASSERT_OK_AND_ASSIGN(const auto checkpointer,
                       SqliteCheckpointer::Start(path_));
  CheckpointWith(*checkpointer);
  for (int i = 0; i < 10 * SqliteCheckpointer::kTooLongPages / 100; ++i) {
    Write(100);
    // Those of a commit are some more, of the table's tree.
    ASSERT_LT(log_pages_, kLongestLog);
  }
}

TEST_F(SqliteCheckpointerTest, ALogGrowsWhileAnOldStateIsReadAndIsCutThen) {
  ASSERT_OK_AND_ASSIGN(const auto checkpointer,
                       SqliteCheckpointer::Start(path_));
  CheckpointWith(*checkpointer);
  Write(1);
  {
    ASSERT_OK_AND_ASSIGN(const auto reader, SqliteDb::Open(path_));
    SqliteTransaction snapshot(*reader);
    ASSERT_OK(snapshot.BeginRead());
    EXPECT_THAT(reader->FindInt("SELECT count(*) FROM t"),
                IsOkAndHolds(Optional(1)));
    while (log_pages_ < 2 * kCutPages) Write(1000);
    EXPECT_THAT(reader->FindInt("SELECT count(*) FROM t"),
                IsOkAndHolds(Optional(1)));
  }
  EXPECT_GT(LogBytes(), 2 * kCutPages * kPageBytes);
  while (log_pages_ > kLongestLog) Write(1000);
  EXPECT_LE(LogBytes(), kCutPages * kPageBytes);
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
