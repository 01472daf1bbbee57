#include "server/store/sqlite/sqlite_catalog.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/sqlite/sqlite_db.h"
#include "tests/store/catalog_architectures_contract.h"
#include "tests/store/catalog_blobs_contract.h"
#include "tests/store/catalog_checkpoints_contract.h"
#include "tests/store/catalog_damage_contract.h"
#include "tests/store/catalog_retention_contract.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::HasSubstr;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

struct SqliteBackend {
  std::unique_ptr<Catalog> Open() {
    return OpenSqliteCatalog(dir.Join("catalog.sqlite3")).value();
  }
  void SpoilSmall(const Digest& digest) {
    ASSERT_OK(
        SqliteDb::Open(dir.Join("catalog.sqlite3"))
            .value()
            ->Run("UPDATE small_blobs SET bytes = zeroblob(length(bytes)) "
                  "WHERE blob = (SELECT id FROM blobs WHERE digest = ?)",
                  digest));
  }
  testing::TempDir dir;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, CatalogArchitectures, SqliteBackend);
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, CatalogBlobs, SqliteBackend);
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, CatalogCheckpoints, SqliteBackend);
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, CatalogRetention, SqliteBackend);
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, CatalogDamage, SqliteBackend);

class SqliteCatalogTest : public ::testing::Test {
 protected:
  std::unique_ptr<Catalog> Open() { return OpenSqliteCatalog(path_).value(); }

  // A catalog with one checkpoint, "one", whose entry "w" has two bytes.
  void Fill() {
    NewCheckpoint request;
    request.manifest = ManifestOf({{"w", "11"}});
    request.alias = MakeAlias("prod");
    const NewPack pack{
        .id = PackId(32, 'a'), .num_bytes = 2, .blobs = {{BlobOf("11"), 0}}};
    ASSERT_OK(Open()->Commit(MakeCheckpointName("one"), absl::Now(), request,
                             {.packs = {pack}}));
  }

  // Changes the file behind the catalog's back.
  void Damage(const std::string& sql) {
    const std::unique_ptr<SqliteDb> db = SqliteDb::Open(path_).value();
    ASSERT_OK(db->RunScript("PRAGMA foreign_keys = OFF"));
    ASSERT_OK(db->RunScript("PRAGMA ignore_check_constraints = ON"));
    ASSERT_OK(db->RunScript(sql));
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.Join("catalog.sqlite3");
};

TEST_F(SqliteCatalogTest, ANewerSchemaIsRefused) {
  Fill();
  Damage("PRAGMA user_version = 1000");
  EXPECT_THAT(OpenSqliteCatalog(path_),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("schema version 1000")));
}

TEST_F(SqliteCatalogTest, AFileThatWasOverwrittenIsDataLoss) {
  Fill();
  std::ofstream(path_) << std::string(50'000, 'x');
  EXPECT_THAT(OpenSqliteCatalog(path_),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path_)));
}

TEST_F(SqliteCatalogTest, AFileThatWasCutIsDataLoss) {
  Fill();
  std::filesystem::resize_file(path_, 4096);
  auto catalog = OpenSqliteCatalog(path_);
  const absl::Status status =
      catalog.ok()
          ? (*catalog)->GetCheckpoint(MakeCheckpointName("one")).status()
          : catalog.status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path_)));
}

TEST_F(SqliteCatalogTest, RowsThatMakeNoSenseAreDataLoss) {
  const std::string damages[] = {
      "UPDATE entries SET dtype = 99",
      "UPDATE entries SET shape = '2,'",
      "UPDATE entries SET shape = ',2'",
      "UPDATE entries SET shape = '2,,1'",
      "UPDATE entries SET shape = '2x'",
      "UPDATE entries SET shape = '-2'",
      "UPDATE entries SET shape = '99999999999999999999'",
      "UPDATE entries SET storage = 0, storage_offset = 0, strides = 'x'",
      "UPDATE blobs SET digest = x'00' WHERE num_bytes = 2",
  };
  for (const std::string& damage : damages) {
    std::filesystem::remove(path_);
    Fill();
    Damage(damage);
    EXPECT_THAT(Open()->GetManifest(MakeCheckpointName("one")),
                StatusIs(absl::StatusCode::kDataLoss))
        << damage;
  }
}

TEST_F(SqliteCatalogTest, ASmallBlobThatIsCutOrGoneIsDataLoss) {
  for (const char* damage :
       {"UPDATE small_blobs SET bytes = x'00'", "DELETE FROM small_blobs"}) {
    std::filesystem::remove(path_);
    NewCheckpoint request;
    request.manifest = ManifestOf({{"w", "11"}});
    ASSERT_OK(Open()->Commit(MakeCheckpointName("one"), absl::Now(), request,
                             {.small = {{BlobOf("11"), "11"}}}));
    Damage(damage);
    EXPECT_THAT(Open()->ReadBlob(Digest::Of("11")),
                StatusIs(absl::StatusCode::kDataLoss))
        << damage;
  }
}

TEST_F(SqliteCatalogTest, TheSameArchitectureInOtherWordsIsTheSame) {
  ASSERT_OK(Open()->PutArchitecture(MakeArchitecture("Net", 3)));
  Damage("UPDATE architecture_versions SET schema = ' ' || schema");
  EXPECT_THAT(Open()->PutArchitecture(MakeArchitecture("Net", 3)),
              IsOkAndHolds(1));
}

TEST_F(SqliteCatalogTest, NamesThatMakeNoSenseAreDataLoss) {
  Fill();
  Damage("UPDATE checkpoints SET name = 'NOT A NAME'");
  EXPECT_THAT(Open()->ResolveAlias(MakeAlias("prod")),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Open()->ListAliases("", 10),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Open()->ListCheckpoints({}, Catalog::kNewest, 10),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(SqliteCatalogTest, ReadersDoNotWaitForAWriter) {
  Fill();
  const std::unique_ptr<Catalog> catalog = Open();
  const std::unique_ptr<SqliteDb> writer = SqliteDb::Open(path_).value();
  SqliteTransaction transaction(*writer);
  ASSERT_OK(transaction.BeginWrite());
  ASSERT_OK(writer->Run("DELETE FROM labels"));
  EXPECT_OK(catalog->GetManifest(MakeCheckpointName("one")).status());
}

}  // namespace
}  // namespace warmstart::store
