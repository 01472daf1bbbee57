#include "server/store/sqlite/sqlite_db.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Optional;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

class SqliteDbTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(db_, SqliteDb::Open(path_));
    ASSERT_OK(db_->RunScript("CREATE TABLE t (id INTEGER PRIMARY KEY, v ANY)"));
  }

  std::vector<int64_t> Ids() {
    SqliteQuery query = db_->Query("SELECT id FROM t ORDER BY id");
    std::vector<int64_t> ids;
    while (query.Next()) ids.push_back(query.Int(0));
    EXPECT_OK(query.status());
    return ids;
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.Join("db");
  std::unique_ptr<SqliteDb> db_;
};

TEST_F(SqliteDbTest, EveryKindOfValueComesBack) {
  const std::string text("a\0b", 3);
  const Digest digest = Digest::Of("x");
  ASSERT_OK(db_->Run("INSERT INTO t (v) VALUES (?), (?), (?), (?), (?), (?)",
                     INT64_MIN, text, digest, std::optional<int64_t>(),
                     std::optional<std::string>("set"), ""));
  SqliteQuery query = db_->Query("SELECT v FROM t ORDER BY id");
  ASSERT_TRUE(query.Next());
  EXPECT_EQ(query.Int(0), INT64_MIN);
  ASSERT_TRUE(query.Next());
  EXPECT_EQ(query.String(0), text);
  ASSERT_TRUE(query.Next());
  EXPECT_THAT(query.DigestAt(0), IsOkAndHolds(digest));
  ASSERT_TRUE(query.Next());
  EXPECT_TRUE(query.IsNull(0));
  ASSERT_TRUE(query.Next());
  EXPECT_EQ(query.Text(0), "set");
  ASSERT_TRUE(query.Next());
  EXPECT_EQ(query.Text(0), "");
  EXPECT_FALSE(query.IsNull(0));
  EXPECT_FALSE(query.Next());
  EXPECT_OK(query.status());
}

TEST_F(SqliteDbTest, AColumnThatIsNoDigestIsDataLoss) {
  SqliteQuery query = db_->Query("SELECT x'00'");
  ASSERT_TRUE(query.Next());
  EXPECT_THAT(query.DigestAt(0),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path_)));
}

TEST_F(SqliteDbTest, FindIntTellsNoRowFromARow) {
  EXPECT_THAT(db_->FindInt("SELECT id FROM t WHERE id = ?", 7),
              IsOkAndHolds(std::nullopt));
  ASSERT_OK(db_->Run("INSERT INTO t (id) VALUES (?)", 7));
  EXPECT_THAT(db_->FindInt("SELECT id FROM t WHERE id = ?", 7),
              IsOkAndHolds(Optional(7)));
  EXPECT_EQ(db_->last_insert_id(), 7);
}

TEST_F(SqliteDbTest, ABadStatementIsAnErrorFromTheStart) {
  SqliteQuery query = db_->Query("SELECT a FROM nowhere", 1, "x");
  EXPECT_FALSE(query.Next());
  EXPECT_THAT(query.status(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("nowhere")));
}

TEST_F(SqliteDbTest, AQueryInsideOneOfTheSameTextHasItsOwnStatement) {
  ASSERT_OK(db_->Run("INSERT INTO t (id) VALUES (1), (2), (3)"));
  SqliteQuery outer = db_->Query("SELECT id FROM t ORDER BY id");
  ASSERT_TRUE(outer.Next());
  EXPECT_THAT(Ids(), ElementsAre(1, 2, 3));
  ASSERT_TRUE(outer.Next());
  EXPECT_EQ(outer.Int(0), 2);
}

TEST_F(SqliteDbTest, AStatementThatIsUsedAgainHasNoOldValues) {
  constexpr char kInsert[] = "INSERT INTO t (id, v) VALUES (?, ?)";
  ASSERT_OK(db_->Run(kInsert, 1, std::optional<int64_t>(5)));
  ASSERT_OK(db_->Run(kInsert, 2, std::optional<int64_t>()));
  EXPECT_THAT(db_->FindInt("SELECT id FROM t WHERE v IS NULL"),
              IsOkAndHolds(Optional(2)));
}

TEST_F(SqliteDbTest, AQueryRunsAgainWithOtherValues) {
  SqliteQuery insert = db_->Query("INSERT INTO t (id, v) VALUES (?, ?)");
  ASSERT_OK(insert.Run(1, std::optional<int64_t>(5)));
  ASSERT_OK(insert.Run(2, std::optional<int64_t>()));
  SqliteQuery find = db_->Query("SELECT v FROM t WHERE id = ?", 1);
  ASSERT_TRUE(find.Next());
  EXPECT_EQ(find.Int(0), 5);
  find.Restart(2);
  ASSERT_TRUE(find.Next());
  EXPECT_TRUE(find.IsNull(0));  // no old value
  find.Restart(3);
  EXPECT_FALSE(find.Next());
  EXPECT_OK(find.status());
}

TEST_F(SqliteDbTest, AnErrorIsKeptAlsoWhereTheQueryRunsAgain) {
  SqliteQuery insert = db_->Query("INSERT INTO t (id) VALUES (?)");
  ASSERT_OK(insert.Run(1));
  EXPECT_THAT(insert.Run(1), StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(insert.Run(2), StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(Ids(), ElementsAre(1));
}

TEST_F(SqliteDbTest, BytesBindAsABlob) {
  ASSERT_OK(db_->Run("INSERT INTO t (v) VALUES (?), (?)",
                     SqliteBytes{absl::string_view("a\0b", 3)},
                     SqliteBytes{""}));
  EXPECT_THAT(db_->FindInt("SELECT count(*) FROM t WHERE typeof(v) = 'blob'"),
              IsOkAndHolds(Optional(2)));
  EXPECT_THAT(db_->FindInt("SELECT count(*) FROM t WHERE v = x'610062'"),
              IsOkAndHolds(Optional(1)));
}

TEST_F(SqliteDbTest, ATransactionThatIsNotCommittedLeavesNothing) {
  {
    SqliteTransaction transaction(*db_);
    ASSERT_OK(transaction.BeginWrite());
    ASSERT_OK(db_->Run("INSERT INTO t (id) VALUES (1)"));
  }
  EXPECT_FALSE(db_->in_transaction());
  EXPECT_THAT(Ids(), ElementsAre());
  {
    SqliteTransaction transaction(*db_);
    ASSERT_OK(transaction.BeginWrite());
    ASSERT_OK(db_->Run("INSERT INTO t (id) VALUES (2)"));
    ASSERT_OK(transaction.Commit());
  }
  EXPECT_THAT(Ids(), ElementsAre(2));
}

TEST_F(SqliteDbTest, AForeignKeyIsEnforced) {
  ASSERT_OK(
      db_->RunScript("CREATE TABLE u (t INTEGER NOT NULL REFERENCES t (id))"));
  EXPECT_THAT(db_->Run("INSERT INTO u (t) VALUES (?)", 99),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("FOREIGN KEY")));
}

TEST_F(SqliteDbTest, AFileThatIsNoDatabaseIsDataLoss) {
  const std::string path = dir_.Join("text");
  std::ofstream(path) << std::string(10'000, 'x');
  const auto db = SqliteDb::Open(path);
  const absl::Status status =
      db.ok() ? (*db)->FindInt("SELECT count(*) FROM sqlite_schema").status()
              : db.status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)));
}

TEST_F(SqliteDbTest, AMissingFolderIsAnErrorThatNamesThePath) {
  EXPECT_THAT(SqliteDb::Open(dir_.Join("no/db")),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("no/db")));
}

TEST_F(SqliteDbTest, AFullDatabaseIsResourceExhaustedAndKeepsWhatItHad) {
  ASSERT_OK(db_->Run("INSERT INTO t (id) VALUES (1)"));
  ASSERT_OK(db_->RunScript("PRAGMA max_page_count = 4"));
  EXPECT_THAT(
      db_->Run("INSERT INTO t (v) VALUES (?)", std::string(90'000, 'x')),
      StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(Ids(), ElementsAre(1));
}

}  // namespace
}  // namespace warmstart::store
