#include "server/store/sqlite/sqlite_rows.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

class SqliteRowsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(db_, SqliteDb::Open(dir_.Join("db")));
    ASSERT_OK(db_->RunScript(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT UNIQUE)"));
  }

  absl::Status Insert(const std::vector<std::string>& values) {
    return rows_.Insert(*db_, values.size(), [&](SqliteQuery& query, size_t i) {
      query.BindNext(i, SqliteBorrowed{values[i]});
    });
  }

  std::vector<std::string> Values() {
    SqliteQuery query = db_->Query("SELECT id, v FROM t ORDER BY id");
    std::vector<std::string> values;
    while (query.Next()) {
      EXPECT_EQ(query.Int(0), static_cast<int64_t>(values.size()));
      values.push_back(query.String(1));
    }
    EXPECT_OK(query.status());
    return values;
  }

  static std::vector<std::string> MakeValues(size_t count) {
    std::vector<std::string> values;
    for (size_t i = 0; i < count; ++i) values.push_back(absl::StrCat("v", i));
    return values;
  }

  testing::TempDir dir_;
  const SqliteRows rows_{"t", {"id", "v"}};
  std::unique_ptr<SqliteDb> db_;
};

TEST_F(SqliteRowsTest, AnyNumberOfRowsIsInserted) {
  constexpr size_t kAtOnce = SqliteRows::kAtOnce;
  for (const size_t count : {size_t{0}, size_t{1}, kAtOnce - 1, kAtOnce,
                             kAtOnce + 1, 3 * kAtOnce, 5 * kAtOnce + 2}) {
    ASSERT_OK(db_->Run("DELETE FROM t"));
    ASSERT_OK(Insert(MakeValues(count)));
    EXPECT_EQ(Values(), MakeValues(count));
  }
}

TEST_F(SqliteRowsTest, TheFirstErrorEndsIt) {
  for (const size_t twice : {SqliteRows::kAtOnce, 2 * SqliteRows::kAtOnce}) {
    std::vector<std::string> values = MakeValues(2 * SqliteRows::kAtOnce + 1);
    values[twice] = values[0];
    SqliteTransaction transaction(*db_);
    ASSERT_OK(transaction.BeginWrite());
    EXPECT_THAT(Insert(values), StatusIs(absl::StatusCode::kInternal,
                                         HasSubstr("UNIQUE constraint")));
    EXPECT_THAT(db_->FindInt("SELECT count(*) FROM t"),
                IsOkAndHolds(Optional(twice)));
  }
  EXPECT_OK(Insert(MakeValues(SqliteRows::kAtOnce + 1)));
}

}  // namespace
}  // namespace warmstart::store
