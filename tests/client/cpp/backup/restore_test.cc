#include "client/cpp/backup/restore.h"

#include <filesystem>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "client/cpp/backup/backup_folder.h"
#include "client/cpp/backup/backup_paths.h"
#include "client/cpp/backup/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/testing/fake_backup.h"
#include "tests/client/testing/test_files.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::warmstart::testing::StatusIs;

class RestoreTest : public ::testing::Test {
 protected:
  void SetUp() override { MakeBackup(catalog_); }

  static std::string DigestOf(const std::string& bytes) {
    Sha256 sha256;
    sha256.Update(bytes);
    return sha256.FinishHex();
  }

  void MakeBackup(const std::string& catalog) {
    ASSERT_OK_AND_ASSIGN(BackupFolder folder, BackupFolder::Open(dir_));
    ASSERT_OK(folder.BeginPack(name_, pack_.size(), 0));
    ASSERT_OK(folder.Append(pack_));
    ASSERT_OK(folder.FinishFile(DigestOf(pack_)));
    ASSERT_OK(folder.BeginCatalog(catalog.size()));
    ASSERT_OK(folder.Append(catalog));
    ASSERT_OK(folder.FinishFile(DigestOf(catalog)));
    const absl::flat_hash_set<std::string> packs = {name_};
    ASSERT_OK(folder.Commit(packs).status());
  }

  absl::StatusOr<Restored> Run() {
    return RestoreBackup(dir_, data_dir_, [this](const Progress& progress) {
      progress_ = progress;
    });
  }

  // Nothing of ours is left.
  void ExpectNothingRestored() {
    if (std::filesystem::exists(data_dir_)) {
      EXPECT_THAT(FilesIn(data_dir_), IsEmpty());
    }
  }

  testing::TempDir parent_;
  const std::string dir_ = parent_.Join("backup");
  const std::string data_dir_ = parent_.Join("new/data");
  const BackupPaths backup_{dir_};
  const BackupPaths data_{data_dir_};
  const std::string name_ = PackName('a');
  const std::string pack_ = VariedBytes(3 << 20);
  const std::string catalog_ = VariedBytes(5000);
  Progress progress_;
};

TEST_F(RestoreTest, ADataDirectoryIsMade) {
  ASSERT_OK_AND_ASSIGN(const Restored restored, Run());
  EXPECT_TRUE(ReadFile(data_.Catalog()) == catalog_);
  EXPECT_TRUE(ReadFile(data_.Pack(name_)) == pack_);
  EXPECT_THAT(FilesIn(data_dir_),
              ElementsAre("LOCK", "catalog.sqlite3", "packs", "staging"));
  EXPECT_THAT(FilesIn(data_.StagingDir()), IsEmpty());
  EXPECT_EQ(restored.packs, 1);
  EXPECT_EQ(restored.size, (3 << 20) + 5000);
  EXPECT_EQ(progress_.bytes_done, restored.size);
  EXPECT_EQ(progress_.bytes_total, restored.size);
  // The backup is one as before.
  std::filesystem::remove_all(data_dir_);
  EXPECT_OK(Run().status());
}

TEST_F(RestoreTest, NothingIsLinked) {
  ASSERT_OK(Run().status());
  EXPECT_EQ(std::filesystem::hard_link_count(backup_.Pack(name_)), 1);
  EXPECT_EQ(std::filesystem::hard_link_count(backup_.Catalog()), 1);
}

TEST_F(RestoreTest, AFolderThatIsNotEmptyIsRefused) {
  std::filesystem::create_directories(data_dir_ + "/lost+found");
  WriteFile(data_dir_ + "/catalog.sqlite3", "precious");
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kFailedPrecondition,
                              HasSubstr("catalog.sqlite3 is there")));
  EXPECT_EQ(ReadFile(data_dir_ + "/catalog.sqlite3"), "precious");
  // The root of a file system is empty for all that.
  std::filesystem::remove(data_dir_ + "/catalog.sqlite3");
  EXPECT_OK(Run().status());
}

TEST_F(RestoreTest, WhatIsNoBackupIsRefused) {
  std::filesystem::remove(backup_.Catalog());
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kFailedPrecondition,
                              HasSubstr("has no complete backup")));
  std::filesystem::remove(backup_.Marker());
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kFailedPrecondition,
                              HasSubstr("no file BACKUP")));
  ExpectNothingRestored();
}

TEST_F(RestoreTest, AMissingPackIsFoundBeforeAnythingIsCopied) {
  std::filesystem::remove(backup_.Pack(name_));
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(name_)));
  EXPECT_EQ(progress_.bytes_done, 0);
  ExpectNothingRestored();
}

TEST_F(RestoreTest, APackThatRottedIsDataLossAndLeavesNothing) {
  std::string rotten = pack_;
  rotten[rotten.size() / 2] ^= 1;
  WriteFile(backup_.Pack(name_), rotten);
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(name_)));
  ExpectNothingRestored();
}

TEST_F(RestoreTest, ACatalogThatRottedIsDataLoss) {
  WriteFile(backup_.Catalog(), VariedBytes(4999));
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kDataLoss,
                              HasSubstr("catalog.sqlite3")));
  ExpectNothingRestored();
}

TEST_F(RestoreTest, ABackupThatWasStoppedAtItsVeryEndIsTheNewOne) {
  // As it is between the two renames of a commit.
  const std::string old_sums = ReadFile(backup_.Checksums());
  const std::string newer = VariedBytes(6000);
  MakeBackup(newer);
  std::filesystem::rename(backup_.Checksums(), backup_.NewChecksums());
  WriteFile(backup_.Checksums(), old_sums);
  ASSERT_OK(Run().status());
  EXPECT_TRUE(ReadFile(data_.Catalog()) == newer);
}

TEST_F(RestoreTest, ABackupThatWasStoppedBeforeItsEndIsTheOldOne) {
  {
    ASSERT_OK_AND_ASSIGN(BackupFolder folder, BackupFolder::Open(dir_));
    ASSERT_OK(folder.BeginPack(PackName('b'), 10, 0));
    ASSERT_OK(folder.Append("01234"));
  }
  WriteFile(backup_.NewChecksums(), DigestOf("new") + "  catalog.sqlite3\n");
  ASSERT_OK(Run().status());
  EXPECT_TRUE(ReadFile(data_.Catalog()) == catalog_);
  EXPECT_THAT(FilesIn(data_.PacksDir()), ElementsAre(name_));
}

TEST_F(RestoreTest, ABackupThatIsBeingWrittenIsRefused) {
  ASSERT_OK_AND_ASSIGN(const BackupFolder folder, BackupFolder::Open(dir_));
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kFailedPrecondition,
                              HasSubstr("locked")));
}

}  // namespace
}  // namespace warmstart::client
