#include "server/store/sqlite/sqlite_schema.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/model/digest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

class SqliteSchemaTest : public ::testing::Test {
 protected:
  std::unique_ptr<SqliteDb> Open() { return SqliteDb::Open(path_).value(); }

  static int64_t Version(SqliteDb& db) {
    return db.FindInt("PRAGMA user_version").value().value();
  }

  static std::vector<std::string> Rows(SqliteDb& db, absl::string_view sql,
                                       int column = 0) {
    SqliteQuery query = db.Query(sql);
    std::vector<std::string> rows;
    while (query.Next()) rows.push_back(query.String(column));
    EXPECT_OK(query.status());
    return rows;
  }

  // The steps of what EXPLAIN QUERY PLAN tells of.
  static std::vector<std::string> Plan(SqliteDb& db, absl::string_view sql) {
    return Rows(db, sql, /*column=*/3);
  }

  static int64_t NumTables(SqliteDb& db) {
    return db.FindInt("SELECT count(*) FROM sqlite_schema").value().value();
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.Join("catalog.sqlite3");
};

TEST_F(SqliteSchemaTest, AnEmptyFileBecomesTheNewestVersion) {
  const std::unique_ptr<SqliteDb> db = Open();
  ASSERT_OK(MigrateSqliteSchema(*db));
  EXPECT_EQ(Version(*db), static_cast<int64_t>(SqliteMigrations().size()));
  EXPECT_THAT(db->FindInt("PRAGMA application_id"),
              IsOkAndHolds(Optional(kSqliteApplicationId)));
  SqliteQuery mode = db->Query("PRAGMA journal_mode");
  ASSERT_TRUE(mode.Next());
  EXPECT_EQ(mode.Text(0), "wal");
  EXPECT_THAT(db->FindInt("PRAGMA synchronous"), IsOkAndHolds(Optional(2)));
  EXPECT_THAT(db->FindInt("PRAGMA foreign_keys"), IsOkAndHolds(Optional(1)));
}

TEST_F(SqliteSchemaTest, VersionZeroOfOursMigratesToo) {
  const std::unique_ptr<SqliteDb> db = Open();
  ASSERT_OK(db->RunScript(
      absl::StrCat("PRAGMA application_id = ", kSqliteApplicationId)));
  ASSERT_OK(MigrateSqliteSchema(*db));
  EXPECT_EQ(Version(*db), static_cast<int64_t>(SqliteMigrations().size()));
}

// What version 1 wrote: an architecture with a checkpoint, one that was deleted
// while a checkpoint named it, checkpoints of a built-in one and of none.
TEST_F(SqliteSchemaTest, ArchitecturesOfVersionOneBecomeTheirFirstVersions) {
  const std::unique_ptr<SqliteDb> db = Open();
  ASSERT_OK(MigrateSqliteSchema(*db, SqliteMigrations().first(1)));
  ASSERT_OK(db->RunScript(
      "INSERT INTO architectures (name, schema) "
      "VALUES ('used', '{\"u\"}'), ('idle', '{\"i\"}');"
      "INSERT INTO checkpoints "
      "(name, architecture, create_time, num_tensors, num_bytes) VALUES "
      "('a', 'used', 1, 2, 3), ('b', 'gone', 1, 2, 3), ('c', 'NetA', 1, 2, 3), "
      "('d', '', 1, 2, 3)"));
  ASSERT_OK(MigrateSqliteSchema(*db));
  EXPECT_THAT(Rows(*db,
                   "SELECT name || ' ' || version || ' ' || schema || ' ' || "
                   "ifnull(initial_values, '-') FROM architecture_versions "
                   "ORDER BY name"),
              ElementsAre("idle 1 {\"i\"} -", "used 1 {\"u\"} -"));
  EXPECT_THAT(Rows(*db,
                   "SELECT name || ' ' || last_version FROM architectures "
                   "ORDER BY name"),
              ElementsAre("gone 1", "idle 1", "used 1"));
  EXPECT_THAT(Rows(*db,
                   "SELECT name || ' ' || architecture || ' ' || "
                   "architecture_version || ' ' || num_bytes "
                   "FROM checkpoints ORDER BY name"),
              ElementsAre("a used 1 3", "b gone 1 3", "c NetA 0 3", "d  0 3"));
  EXPECT_THAT(Rows(*db, "SELECT \"table\" FROM pragma_foreign_key_check"),
              IsEmpty());
}

TEST_F(SqliteSchemaTest, BlobsOfVersionTwoAreIntactAndCheckpointsStay) {
  const std::unique_ptr<SqliteDb> db = Open();
  ASSERT_OK(MigrateSqliteSchema(*db, SqliteMigrations().first(2)));
  ASSERT_OK(db->RunScript(
      "INSERT INTO checkpoints "
      "(name, architecture, create_time, num_tensors, num_bytes) VALUES "
      "('a', '', 1, 2, 3)"));
  ASSERT_OK(MigrateSqliteSchema(*db));
  EXPECT_THAT(db->FindInt("SELECT count(*) FROM blobs "
                          "WHERE damage_time IS NULL"),
              IsOkAndHolds(Optional(1)));
  EXPECT_THAT(db->FindInt("SELECT count(*) FROM checkpoints "
                          "WHERE expire_time IS NULL"),
              IsOkAndHolds(Optional(1)));
}

// What a store of millions of tensors does at each start.
TEST_F(SqliteSchemaTest, SizesOfBlobsWithoutAPackAreReadFromAnIndexAlone) {
  const std::unique_ptr<SqliteDb> db = Open();
  ASSERT_OK(MigrateSqliteSchema(*db, SqliteMigrations().first(3)));
  ASSERT_OK(db->Run("UPDATE blobs SET num_bytes = 7"));
  ASSERT_OK(MigrateSqliteSchema(*db));
  EXPECT_THAT(db->FindInt("SELECT sum(num_bytes) FROM blobs "
                          "WHERE pack IS NULL"),
              IsOkAndHolds(Optional(7)));
  EXPECT_THAT(Plan(*db,
                   "EXPLAIN QUERY PLAN SELECT sum(num_bytes) FROM blobs "
                   "WHERE pack IS NULL"),
              ElementsAre(HasSubstr("COVERING INDEX blobs_by_pack")));
}

// Else each thousand of them sorts all that are left.
TEST_F(SqliteSchemaTest, BlobsAreReadInTheOrderOfTheirPacksWithoutSorting) {
  const std::unique_ptr<SqliteDb> db = Open();
  ASSERT_OK(MigrateSqliteSchema(*db));
  EXPECT_THAT(Plan(*db,
                   "EXPLAIN QUERY PLAN SELECT digest FROM blobs "
                   "WHERE (pack, id) > (1, 1) ORDER BY pack, id LIMIT 10"),
              ElementsAre(HasSubstr("INDEX blobs_by_pack")));
  EXPECT_THAT(Plan(*db,
                   "EXPLAIN QUERY PLAN SELECT digest FROM blobs "
                   "WHERE pack IS NULL AND id > 1 ORDER BY id LIMIT 10"),
              ElementsAre(HasSubstr("INDEX blobs_by_pack (pack=? AND id>?)")));
}

TEST_F(SqliteSchemaTest, MigratingAgainChangesNothing) {
  ASSERT_OK(MigrateSqliteSchema(*Open()));
  const std::unique_ptr<SqliteDb> db = Open();
  ASSERT_OK(db->Run("INSERT INTO packs (name, num_bytes) VALUES ('p', 1)"));
  ASSERT_OK(MigrateSqliteSchema(*db));
  EXPECT_THAT(db->FindInt("SELECT count(*) FROM packs"),
              IsOkAndHolds(Optional(1)));
}

TEST_F(SqliteSchemaTest, TheEmptyBlobIsThereFromTheStart) {
  const std::unique_ptr<SqliteDb> db = Open();
  ASSERT_OK(MigrateSqliteSchema(*db));
  EXPECT_THAT(db->FindInt("SELECT num_bytes FROM blobs WHERE digest = ?",
                          Digest::Of("")),
              IsOkAndHolds(Optional(0)));
}

TEST_F(SqliteSchemaTest, ANewerVersionIsRefusedAndNotTouched) {
  {
    const std::unique_ptr<SqliteDb> db = Open();
    ASSERT_OK(MigrateSqliteSchema(*db));
    ASSERT_OK(db->RunScript("PRAGMA user_version = 99"));
  }
  const std::unique_ptr<SqliteDb> db = Open();
  EXPECT_THAT(MigrateSqliteSchema(*db),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(path_), HasSubstr("99"))));
  EXPECT_EQ(Version(*db), 99);
}

TEST_F(SqliteSchemaTest, AnotherApplicationsDatabaseIsRefusedAndNotTouched) {
  const std::unique_ptr<SqliteDb> db = Open();
  ASSERT_OK(db->RunScript("CREATE TABLE theirs (x)"));
  EXPECT_THAT(MigrateSqliteSchema(*db),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("no Warmstart catalog")));
  EXPECT_EQ(NumTables(*db), 1);
  ASSERT_OK(db->RunScript("DROP TABLE theirs; PRAGMA application_id = 7"));
  EXPECT_THAT(MigrateSqliteSchema(*db),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(SqliteSchemaTest, EveryStepRunsOnceAndInOrder) {
  const std::unique_ptr<SqliteDb> db = Open();
  const char* const migrations[] = {
      "CREATE TABLE steps (n INTEGER); INSERT INTO steps VALUES (1)",
      "INSERT INTO steps SELECT n + 1 FROM steps",
      "INSERT INTO steps SELECT 10 * max(n) FROM steps"};
  ASSERT_OK(MigrateSqliteSchema(*db, absl::MakeConstSpan(migrations, 1)));
  EXPECT_EQ(Version(*db), 1);
  ASSERT_OK(MigrateSqliteSchema(*db, migrations));
  ASSERT_OK(MigrateSqliteSchema(*db, migrations));
  EXPECT_EQ(Version(*db), 3);
  EXPECT_THAT(db->FindInt("SELECT sum(n) FROM steps"),
              IsOkAndHolds(Optional(23)));
}

TEST_F(SqliteSchemaTest, AStepThatFailsLeavesTheVersionBefore) {
  const std::unique_ptr<SqliteDb> db = Open();
  const char* const migrations[] = {"CREATE TABLE a (x)",
                                    "CREATE TABLE b (x); CREATE TABLE a (x)"};
  EXPECT_THAT(MigrateSqliteSchema(*db, migrations),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("a")));
  EXPECT_EQ(Version(*db), 1);
  EXPECT_EQ(NumTables(*db), 1);
}

TEST_F(SqliteSchemaTest, AFileOfGarbageIsDataLoss) {
  std::ofstream(path_) << std::string(20'000, 'x');
  const auto db = SqliteDb::Open(path_);
  EXPECT_THAT(db.ok() ? MigrateSqliteSchema(**db) : db.status(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path_)));
}

TEST_F(SqliteSchemaTest, EveryForeignKeyHasAnIndexOnItsOwnSide) {
  const std::unique_ptr<SqliteDb> db = Open();
  ASSERT_OK(MigrateSqliteSchema(*db));
  // The first column of some index, or of the primary key, is the key's.
  SqliteQuery query = db->Query(
      "SELECT s.name, f.\"from\" FROM sqlite_schema s, "
      "pragma_foreign_key_list(s.name) f WHERE s.type = 'table' "
      "AND NOT EXISTS (SELECT 1 FROM pragma_index_list(s.name) l, "
      "  pragma_index_info(l.name) i WHERE i.seqno = 0 AND i.name = f.\"from\")"
      "AND NOT EXISTS (SELECT 1 FROM pragma_table_info(s.name) c "
      "  WHERE c.name = f.\"from\" AND c.pk = 1)");
  while (query.Next()) {
    ADD_FAILURE() << query.Text(0) << "." << query.Text(1);
  }
  ASSERT_OK(query.status());
}

}  // namespace
}  // namespace warmstart::store
