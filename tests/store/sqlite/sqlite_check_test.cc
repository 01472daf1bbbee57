#include "server/store/sqlite/sqlite_check.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/sqlite/sqlite_catalog.h"
#include "server/store/sqlite/sqlite_db.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SqliteCheckTest : public ::testing::Test {
 protected:
  // A catalog with a checkpoint in a pack, one that shares a storage, and one
  // whose tensor the catalog keeps.
  void SetUp() override {
    catalog_ = OpenSqliteCatalog(path_).value();
    const NewPack pack{.id = PackId(32, 'a'),
                       .num_bytes = 5,
                       .blobs = {{BlobOf("11"), 0}, {BlobOf("222"), 2}}};
    ASSERT_OK(Commit("one", ManifestOf({{"a", "11"}, {"b", "222"}}),
                     {.packs = {pack}}));
    Manifest shared = ManifestOf({{"x", "11"}, {"y", "11"}});
    shared.storages.push_back({Digest::Of("222"), 3});
    for (ManifestEntry& entry : shared.entries) {
      entry.view = StorageView{.storage = 0, .offset = 0, .strides = {1}};
    }
    ASSERT_OK(Commit("two", shared, {}));
    ASSERT_OK(Commit("three", ManifestOf({{"s", "4444"}}),
                     {.small = {{BlobOf("4444"), "4444"}}}));
  }

  absl::Status Commit(const std::string& name, const Manifest& manifest,
                      const NewBlobs& blobs) {
    NewCheckpoint request;
    request.manifest = manifest;
    request.alias = MakeAlias(name);
    return catalog_
        ->Commit(MakeCheckpointName(name), absl::Now(), request, blobs)
        .status();
  }

  // What is found once the rows were changed so.
  std::vector<std::string> FindingsAfter(const std::string& sql) {
    const std::unique_ptr<SqliteDb> db = SqliteDb::Open(path_).value();
    EXPECT_OK(db->RunScript("PRAGMA foreign_keys = OFF"));
    EXPECT_OK(db->RunScript(sql));
    std::vector<std::string> findings;
    const auto check = catalog_->Check(
        [&](std::string finding) { findings.push_back(std::move(finding)); });
    EXPECT_OK(check.status());
    return findings;
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.Join("catalog.sqlite3");
  std::unique_ptr<Catalog> catalog_;
};

TEST_F(SqliteCheckTest, ASoundCatalogHasNoFindings) {
  EXPECT_THAT(FindingsAfter(""), IsEmpty());
}

TEST_F(SqliteCheckTest, AMiscountedBlobIsFound) {
  EXPECT_THAT(FindingsAfter("UPDATE blobs SET num_references = 7 "
                            "WHERE num_bytes = 2"),
              Contains(HasSubstr("counted as that of 7 checkpoints, and 2 ")));
}

TEST_F(SqliteCheckTest, ABlobThatNobodyNeedsIsFound) {
  EXPECT_THAT(FindingsAfter("DELETE FROM entries; DELETE FROM storages"),
              Contains(HasSubstr("is no checkpoint's")));
}

TEST_F(SqliteCheckTest, ACheckpointWhoseBlobIsGoneIsFound) {
  const auto findings = FindingsAfter("DELETE FROM blobs WHERE num_bytes = 2");
  EXPECT_THAT(findings,
              Contains(HasSubstr("checkpoints/one has 1 of its 2 tensors")));
  EXPECT_THAT(findings, Contains(HasSubstr("that checkpoints have are not")));
}

TEST_F(SqliteCheckTest, AStorageThatIsGoneIsFound) {
  EXPECT_THAT(FindingsAfter("DELETE FROM storages"),
              Contains(HasSubstr("tensor 'x' of checkpoints/two shares "
                                 "storage 0 of 0")));
}

TEST_F(SqliteCheckTest, AManifestThatMakesNoSenseIsFound) {
  EXPECT_THAT(FindingsAfter("UPDATE entries SET dtype = 99 WHERE key = 'a'"),
              Contains(HasSubstr("checkpoints/one cannot be read")));
}

TEST_F(SqliteCheckTest, AnAliasThatPointsNowhereIsFound) {
  EXPECT_THAT(FindingsAfter("UPDATE aliases SET checkpoint = 99 "
                            "WHERE name = 'one'"),
              Contains(HasSubstr("of aliases refers to a row of checkpoints")));
}

TEST_F(SqliteCheckTest, ABlobOutsideOfItsPackIsFound) {
  EXPECT_THAT(FindingsAfter("UPDATE packs SET num_bytes = 4"),
              Contains(HasSubstr("lies outside of pack aaaa")));
}

TEST_F(SqliteCheckTest, APackWithoutABlobIsFound) {
  EXPECT_THAT(FindingsAfter("INSERT INTO packs (name, num_bytes) "
                            "VALUES ('empty', 0)"),
              Contains(HasSubstr("pack empty has no tensor")));
}

TEST_F(SqliteCheckTest, ABlobInTwoPlacesIsFound) {
  EXPECT_THAT(FindingsAfter("INSERT INTO small_blobs SELECT id, x'3131' "
                            "FROM blobs WHERE num_bytes = 2"),
              Contains(HasSubstr("lies both in a pack and in the catalog")));
}

TEST_F(SqliteCheckTest, ASmallBlobThatLacksBytesIsFound) {
  EXPECT_THAT(FindingsAfter("UPDATE small_blobs SET bytes = x'00'"),
              Contains(HasSubstr("the catalog has 1 bytes of tensor")));
  EXPECT_THAT(FindingsAfter("DELETE FROM small_blobs"),
              Contains(HasSubstr("the catalog has 0 bytes of tensor")));
}

TEST_F(SqliteCheckTest, AnIndexThatLacksARowIsFound) {
  EXPECT_THAT(
      FindingsAfter("PRAGMA writable_schema = ON;"
                    "UPDATE sqlite_schema SET sql = replace(sql, '(pack,', "
                    "'(offset,') WHERE name = 'blobs_by_pack'"),
      Contains(HasSubstr("SQLite: ")));
}

}  // namespace
}  // namespace warmstart::store
