// Listings of thousands of checkpoints: each page costs little, and the pages
// together have all that match. What filters mean, the contract tests say.

#include <sqlite3.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/sqlite/sqlite_catalog.h"
#include "server/store/sqlite/sqlite_checkpoints.h"
#include "server/store/sqlite/sqlite_db.h"
#include "server/store/sqlite/sqlite_schema.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::Gt;
using ::testing::IsEmpty;
using ::testing::Lt;
using ::testing::SizeIs;

constexpr int kCheckpoints = 12'000;

// Counts what statements do on the connections that are opened while it lives.
class StatementWatch {
 public:
  StatementWatch() { sqlite3_auto_extension(EntryPoint()); }
  ~StatementWatch() { sqlite3_cancel_auto_extension(EntryPoint()); }
  StatementWatch(const StatementWatch&) = delete;
  StatementWatch& operator=(const StatementWatch&) = delete;

  void Restart() { num_sorts_ = num_steps_ = 0; }
  int num_sorts() const { return num_sorts_; }
  int num_steps() const { return num_steps_; }  // of SQLite's virtual machine

 private:
  static auto EntryPoint() -> void (*)() {
    return reinterpret_cast<void (*)()>(&Attach);
  }
  static int Attach(sqlite3* db, char**, const sqlite3_api_routines*) {
    return sqlite3_trace_v2(db, SQLITE_TRACE_PROFILE, &OnFinish, nullptr);
  }
  static int OnFinish(unsigned, void*, void* finished, void*) {
    auto* const statement = static_cast<sqlite3_stmt*>(finished);
    num_sorts_ +=
        sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_SORT, /*resetFlg=*/1);
    num_steps_ += sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP,
                                      /*resetFlg=*/1);
    return SQLITE_OK;
  }

  static inline int num_sorts_ = 0;
  static inline int num_steps_ = 0;
};

class SqliteListingTest : public ::testing::Test {
 protected:
  // Checkpoints "0" to "11999", in one transaction; `describe` says the rest.
  void Fill(const std::function<void(int, NewCheckpoint&)>& describe) {
    ASSERT_OK_AND_ASSIGN(db_, SqliteDb::Open(temp_dir_.Join("catalog")));
    ASSERT_OK(MigrateSqliteSchema(*db_));
    SqliteTransaction transaction(*db_);
    ASSERT_OK(transaction.BeginWrite());
    SqliteKnownBlobs known;
    for (int i = 0; i < kCheckpoints; ++i) {
      NewCheckpoint checkpoint;
      describe(i, checkpoint);
      ASSERT_OK(CommitRows(*db_, MakeCheckpointName(absl::StrCat(i)),
                           absl::UnixEpoch(), checkpoint, {}, known)
                    .status());
    }
    ASSERT_OK(transaction.Commit());
  }

  struct Pages {
    std::vector<std::string> ids;
    std::vector<int> sizes;
  };

  Pages List(const CheckpointFilter& filter, int limit) {
    Pages pages;
    int64_t before = Catalog::kNewest;
    while (before > 0) {
      const auto page = ListCheckpointRows(*db_, filter, before, limit);
      EXPECT_THAT(page, testing::IsOk());
      if (!page.ok()) break;
      EXPECT_LT(page->next_before, before);
      before = page->next_before;
      pages.sizes.push_back(static_cast<int>(page->checkpoints.size()));
      for (const ListedCheckpoint& row : page->checkpoints) {
        pages.ids.push_back(row.checkpoint.name.id());
      }
    }
    return pages;
  }

  const testing::TempDir temp_dir_;
  std::unique_ptr<SqliteDb> db_;
};

TEST_F(SqliteListingTest, CommonLabelsThatSeldomMeetGivePagesThatEndEarly) {
  Fill([](int i, NewCheckpoint& checkpoint) {
    checkpoint.labels = {{i % 2 == 0 ? "even" : "odd", ""}};
    if (i == 0) checkpoint.labels = {{"even", ""}, {"odd", ""}};
  });
  const Pages pages = List({.labels = {{"even", ""}, {"odd", ""}}}, 50);
  EXPECT_THAT(pages.ids, ElementsAre("0"));
  // Of the 12000 leaps that it takes, each page does some thousands.
  EXPECT_THAT(pages.sizes, ElementsAre(0, 0, 0, 0, 0, 1));
}

TEST_F(SqliteListingTest, APageIsFullWhereAllConditionsOftenMeet) {
  Fill([](int i, NewCheckpoint& checkpoint) {
    checkpoint.labels = {{"all", ""}, {"third", absl::StrCat(i % 3)}};
  });
  const Pages pages = List({.labels = {{"all", ""}, {"third", "1"}}}, 1000);
  EXPECT_THAT(pages.sizes, ElementsAre(1000, 1000, 1000, 1000));
  EXPECT_THAT(pages.ids, SizeIs(4000));
}

TEST_F(SqliteListingTest, AliasesTooManyToGatherAreAllFound) {
  std::vector<std::string> expected;
  Fill([&](int i, NewCheckpoint& checkpoint) {
    const bool matches = i % 2 == 0;
    checkpoint.alias = MakeAlias(absl::StrCat(matches ? "p/" : "q/", i));
    checkpoint.labels = {{"third", absl::StrCat(i % 3)}};
    if (matches && i % 3 == 0) expected.push_back(absl::StrCat(i));
  });
  std::reverse(expected.begin(), expected.end());
  EXPECT_THAT(List({.alias = "p/", .alias_is_prefix = true}, 100).ids,
              SizeIs(kCheckpoints / 2));
  EXPECT_THAT(
      List({.labels = {{"third", "0"}}, .alias = "p/", .alias_is_prefix = true},
           100)
          .ids,
      ElementsAreArray(expected));
}

TEST_F(SqliteListingTest, AliasesBehindManyOthersTakeSeveralPages) {
  Fill([](int i, NewCheckpoint& checkpoint) {
    checkpoint.alias = MakeAlias(absl::StrCat(i < 5'500 ? "p/" : "q/", i));
  });
  const Pages pages = List({.alias = "p/", .alias_is_prefix = true}, 1000);
  EXPECT_THAT(pages.ids, SizeIs(5'500));
  EXPECT_EQ(pages.ids.front(), "5499");
  EXPECT_THAT(pages.sizes,
              ElementsAre(0, 0, 1000, 1000, 1000, 1000, 1000, 500));
}

TEST_F(SqliteListingTest, NoConditionSortsOrScans) {
  StatementWatch watch;
  Fill([](int i, NewCheckpoint& checkpoint) {
    checkpoint.architecture =
        MakeArchitectureName("Net").WithVersion(1 + i % 2);
    checkpoint.labels = {{"all", ""}};
    checkpoint.alias = MakeAlias(absl::StrCat("p/", i));
  });
  const ArchitectureName net = MakeArchitectureName("Net");
  for (const CheckpointFilter& filter :
       std::vector<CheckpointFilter>{{},
                                     {.architecture = net},
                                     {.architecture = net.WithVersion(1)},
                                     {.labels = {{"all", ""}}},
                                     {.alias = "p/1"},
                                     {.alias = "", .alias_is_prefix = true},
                                     {.alias = "p/", .alias_is_prefix = true},
                                     {.architecture = net.WithVersion(2),
                                      .labels = {{"all", ""}},
                                      .alias = "p/",
                                      .alias_is_prefix = true}}) {
    watch.Restart();
    ASSERT_OK(ListCheckpointRows(*db_, filter, kCheckpoints / 2, 50).status());
    EXPECT_EQ(watch.num_sorts(), 0);
    // To scan half of the checkpoints for each of the 50 takes 300000.
    EXPECT_THAT(watch.num_steps(), AllOf(Gt(0), Lt(100'000)));
  }
}

TEST_F(SqliteListingTest, NothingIsOnePage) {
  Fill([](int, NewCheckpoint&) {});
  EXPECT_THAT(List({.labels = {{"no", "such"}}}, 50).sizes, ElementsAre(0));
  EXPECT_THAT(List({.alias = "no/", .alias_is_prefix = true}, 50).ids,
              IsEmpty());
  EXPECT_THAT(List({}, kCheckpoints).sizes, ElementsAre(kCheckpoints));
}

}  // namespace
}  // namespace warmstart::store
