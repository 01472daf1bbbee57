#include "server/store/sqlite/gathering_vfs.h"

#include <signal.h>
#include <sys/resource.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/sqlite/sqlite_db.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::Not;
using ::testing::Optional;
using ::warmstart::testing::IsOk;
using ::warmstart::testing::IsOkAndHolds;

constexpr int kPageBytes = 4096;

// Calls of write() and its like that this process made.
int64_t NumWrites() {
  std::ifstream io("/proc/self/io");
  for (std::string word; io >> word;) {
    int64_t number = 0;
    if (word == "syscw:" && io >> number) return number;
  }
  ADD_FAILURE() << "the kernel does not count them";
  return 0;
}

class GatheringVfsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(db_, SqliteDb::OpenForWriting(path_));
    ASSERT_OK(db_->RunScript("PRAGMA journal_mode = WAL"));
    ASSERT_OK(db_->RunScript("CREATE TABLE t (v BLOB)"));
    ASSERT_OK_AND_ASSIGN(reader_, SqliteDb::Open(path_));
  }

  static absl::Status Write(SqliteDb& db, int pages) {
    return db.Run("INSERT INTO t VALUES (randomblob(?))", pages * kPageBytes);
  }

  // Rows that `db` sees, in a database without damage.
  static absl::StatusOr<std::optional<int64_t>> CountRows(SqliteDb& db) {
    SqliteQuery check = db.Query("PRAGMA integrity_check");
    EXPECT_TRUE(check.Next());
    EXPECT_EQ(check.Text(0), "ok");
    return db.FindInt("SELECT count(*) FROM t");
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.Join("db");
  std::unique_ptr<SqliteDb> db_;
  std::unique_ptr<SqliteDb> reader_;
};

TEST_F(GatheringVfsTest, OthersSeeWhatWasCommitted) {
  int64_t rows = 0;
  // Less than is gathered, about as much, and several times as much.
  for (const int pages : {1, 28, 29, 30, 31, 32, 200}) {
    ASSERT_OK(Write(*db_, pages));
    EXPECT_THAT(CountRows(*reader_), IsOkAndHolds(Optional(++rows)));
  }
  reader_.reset();
  db_.reset();
  ASSERT_OK_AND_ASSIGN(reader_, SqliteDb::Open(path_));
  EXPECT_THAT(CountRows(*reader_), IsOkAndHolds(Optional(rows)));
}

TEST_F(GatheringVfsTest, ACommitIsFewWrites) {
  ASSERT_OK(Write(*db_, 1));
  const auto writes_of = [](SqliteDb& db) {
    const int64_t before = NumWrites();
    EXPECT_OK(Write(db, 100));
    return NumWrites() - before;
  };
  // The process may write something else meanwhile.
  EXPECT_LE(writes_of(*db_), 20);
  EXPECT_GE(writes_of(*reader_), 200);
}

// Pages for which the cache has no room are written before the commit.
TEST_F(GatheringVfsTest, ATransactionReadsWhatItWrote) {
  ASSERT_OK(db_->RunScript("PRAGMA cache_size = 10"));
  SqliteTransaction transaction(*db_);
  ASSERT_OK(transaction.BeginWrite());
  for (int i = 1; i <= 5; ++i) {
    ASSERT_OK(Write(*db_, 50));
    EXPECT_THAT(CountRows(*db_), IsOkAndHolds(Optional(i)));
    EXPECT_THAT(CountRows(*reader_), IsOkAndHolds(Optional(0)));
  }
  ASSERT_OK(transaction.Commit());
  EXPECT_THAT(CountRows(*reader_), IsOkAndHolds(Optional(5)));
}

TEST_F(GatheringVfsTest, WhatWasRolledBackIsNotThere) {
  ASSERT_OK(db_->RunScript("PRAGMA cache_size = 10"));
  for (int i = 1; i <= 5; ++i) {
    {
      SqliteTransaction transaction(*db_);
      ASSERT_OK(transaction.BeginWrite());
      ASSERT_OK(Write(*db_, 20 * i));
    }
    ASSERT_OK(Write(*db_, 3));
    EXPECT_THAT(CountRows(*db_), IsOkAndHolds(Optional(i)));
    EXPECT_THAT(CountRows(*reader_), IsOkAndHolds(Optional(i)));
  }
}

TEST_F(GatheringVfsTest, TheLogIsCopiedAndBegunAnew) {
  for (int i = 1; i <= 5; ++i) {
    ASSERT_OK(Write(*db_, 40));
    ASSERT_OK(reader_->Run("PRAGMA wal_checkpoint(RESTART)"));
    ASSERT_OK(Write(*db_, 2));
    EXPECT_THAT(CountRows(*reader_), IsOkAndHolds(Optional(2 * i)));
  }
  ASSERT_OK(db_->Run("PRAGMA wal_checkpoint(TRUNCATE)"));
  EXPECT_EQ(std::filesystem::file_size(path_ + "-wal"), 0);
  EXPECT_THAT(CountRows(*db_), IsOkAndHolds(Optional(10)));
}

// No file of this process gets longer than `num_bytes` while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(uint64_t num_bytes) {
    handler_ = signal(SIGXFSZ, SIG_IGN);
    EXPECT_EQ(getrlimit(RLIMIT_FSIZE, &before_), 0);
    rlimit limit = before_;
    limit.rlim_cur = num_bytes;
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~FileSizeLimit() {
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &before_), 0);
    signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_;
  void (*handler_)(int);
};

TEST_F(GatheringVfsTest, ACommitThatCannotBeWrittenDidNotHappen) {
  ASSERT_OK(Write(*db_, 10));
  const uint64_t size = std::filesystem::file_size(path_ + "-wal");
  for (const int room : {0, 1, 20, 90}) {
    {
      const FileSizeLimit limit(size + room * kPageBytes);
      EXPECT_THAT(Write(*db_, 100), Not(IsOk()));
    }
    EXPECT_THAT(CountRows(*db_), IsOkAndHolds(Optional(1)));
    EXPECT_THAT(CountRows(*reader_), IsOkAndHolds(Optional(1)));
  }
  ASSERT_OK(Write(*db_, 100));
  EXPECT_THAT(CountRows(*reader_), IsOkAndHolds(Optional(2)));
}

}  // namespace
}  // namespace warmstart::store
