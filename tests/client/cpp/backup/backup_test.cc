#include "client/cpp/backup/backup.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "client/cpp/backup/backup_folder.h"
#include "client/cpp/backup/backup_paths.h"
#include "client/cpp/backup/checksums.h"
#include "client/cpp/backup/local_files.h"
#include "client/cpp/client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/testing/fake_backup.h"
#include "tests/client/testing/fake_server.h"
#include "tests/client/testing/test_files.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

class BackupTest : public ::testing::Test {
 protected:
  BackupTest() {
    options_.address = server_.address();
    options_.sleep = [](absl::Duration) {};
    stub_ = v1::Admin::NewStub(MakeChannel(options_));
    store_.packs = {{PackName('a'), VariedBytes(5000)},
                    {PackName('b'), VariedBytes(7500)}};
    store_.catalog = VariedBytes(3000);
    server_.methods().back_up_store = [this](auto* stream) {
      return store_.Answer(*stream);
    };
  }

  absl::StatusOr<BackedUp> Run(bool replace = false) {
    return BackUp(*stub_, options_, {.dir = dir_, .replace = replace},
                  [this](const Progress& progress) { progress_ = progress; });
  }

  // Whether the folder is a complete backup of `store`, and nothing else.
  void ExpectBackupOf(const FakeBackup& store) {
    EXPECT_TRUE(ReadFile(paths_.Catalog()) == store.catalog);
    std::vector<std::string> names;
    for (const auto& [name, bytes] : store.packs) {
      names.push_back(name);
      EXPECT_TRUE(ReadFile(paths_.Pack(name)) == bytes);
    }
    EXPECT_EQ(FilesIn(paths_.PacksDir()), names);
    EXPECT_THAT(FilesIn(paths_.StagingDir()), IsEmpty());
    EXPECT_THAT(FilesIn(dir_),
                ElementsAre("BACKUP", "SHA256SUMS", "catalog.sqlite3", "packs",
                            "staging"));
    ASSERT_OK_AND_ASSIGN(const Checksums checksums,
                         ReadChecksums(paths_.Checksums()));
    EXPECT_EQ(checksums.catalog, *Sha256OfFile(paths_.Catalog()));
    EXPECT_THAT(checksums.packs, SizeIs(names.size()));
    for (const auto& [name, digest] : checksums.packs) {
      EXPECT_EQ(digest, *Sha256OfFile(paths_.Pack(name)));
    }
  }

  testing::TempDir parent_;
  const std::string dir_ = parent_.Join("deep/backup");
  const BackupPaths paths_{dir_};
  FakeServer server_;
  FakeBackup store_;
  ClientOptions options_;
  std::unique_ptr<v1::Admin::Stub> stub_;
  Progress progress_;
};

TEST_F(BackupTest, EverythingIsFetchedIntoANewFolder) {
  ASSERT_OK_AND_ASSIGN(const BackedUp backup, Run());
  ExpectBackupOf(store_);
  EXPECT_EQ(backup.packs_fetched, 2);
  EXPECT_EQ(backup.packs_reused, 0);
  EXPECT_EQ(backup.packs_removed, 0);
  EXPECT_EQ(backup.bytes_fetched, 15'500);
  EXPECT_EQ(backup.size, 15'500);
  EXPECT_EQ(backup.snapshot_time.seconds(), 1704067200);
  EXPECT_EQ(progress_.bytes_done, 15'500);
  EXPECT_EQ(progress_.bytes_total, 15'500);
}

TEST_F(BackupTest, TheSecondFetchesWhatIsNewAndRemovesWhatIsOld) {
  ASSERT_OK(Run().status());
  store_.packs.erase(PackName('b'));
  store_.packs[PackName('c')] = VariedBytes(100);
  store_.catalog = VariedBytes(3500);
  ASSERT_OK_AND_ASSIGN(const BackedUp backup, Run());
  ExpectBackupOf(store_);
  EXPECT_EQ(backup.packs_fetched, 1);
  EXPECT_EQ(backup.packs_reused, 1);
  EXPECT_EQ(backup.packs_removed, 1);
  EXPECT_EQ(backup.bytes_fetched, 3600);
  EXPECT_EQ(backup.size, 8600);
}

TEST_F(BackupTest, AnEmptyStoreIsBackedUp) {
  store_.packs.clear();
  ASSERT_OK(Run().status());
  ExpectBackupOf(store_);
}

TEST_F(BackupTest, ALostConnectionIsGoneOnWithInTheMiddleOfAPack) {
  store_.break_off_after = {6000, 100, 3000};
  ASSERT_OK_AND_ASSIGN(const BackedUp backup, Run());
  ExpectBackupOf(store_);
  ASSERT_THAT(store_.held, SizeIs(4));
  // After the first: one whole, and the beginning of the other.
  EXPECT_EQ(store_.held[1][0].name(), PackName('b'));
  EXPECT_EQ(store_.held[1][0].size_bytes(), 1000);
  EXPECT_TRUE(store_.held[1][0].partial());
  EXPECT_EQ(store_.held[1][1].name(), PackName('a'));
  EXPECT_FALSE(store_.held[1][1].partial());
  EXPECT_EQ(store_.held[2][0].size_bytes(), 1100);
  EXPECT_EQ(backup.packs_fetched, 2);
  EXPECT_EQ(backup.bytes_fetched, 15'500);
}

TEST_F(BackupTest, AStoppedBackupLeavesTheOldOneAndIsGoneOnWith) {
  ASSERT_OK(Run().status());
  const FakeBackup old = store_;
  store_.packs = {{PackName('a'), store_.packs[PackName('a')]},
                  {PackName('c'), VariedBytes(4000)},
                  {PackName('d'), VariedBytes(4000)}};
  store_.catalog = VariedBytes(3500);
  server_.methods().back_up_store = [this](auto* stream) {
    store_.break_off_after = {6000};
    store_.Answer(*stream).error_code();
    return grpc::Status(grpc::StatusCode::INTERNAL, "the disk fails");
  };
  store_.held.clear();
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kInternal));
  EXPECT_TRUE(ReadFile(paths_.Catalog()) == old.catalog);
  for (const auto& [name, bytes] : old.packs) {
    EXPECT_TRUE(ReadFile(paths_.Pack(name)) == bytes);
  }
  server_.methods().back_up_store = [this](auto* stream) {
    return store_.Answer(*stream);
  };
  ASSERT_OK_AND_ASSIGN(const BackedUp backup, Run());
  ExpectBackupOf(store_);
  EXPECT_EQ(backup.packs_fetched, 1);
  EXPECT_EQ(backup.bytes_fetched, 5500);
}

TEST_F(BackupTest, BytesOfAnotherDigestAreDroppedAndFetchedAnew) {
  store_.wrong_digest_of = PackName('b');
  EXPECT_THAT(Run(),
              StatusIs(absl::StatusCode::kDataLoss,
                       AllOf(HasSubstr(PackName('b')), HasSubstr("SHA-256"))));
  EXPECT_THAT(FilesIn(paths_.StagingDir()), IsEmpty());
  store_.wrong_digest_of = "none";
  ASSERT_OK(Run().status());
  ExpectBackupOf(store_);
}

TEST_F(BackupTest, ABeginningThatRottedIsFetchedAnew) {
  store_.break_off_after = {6000};
  options_.resume.max_attempts = 1;
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kUnavailable));
  WriteFile(paths_.Staged(PackName('b')), std::string(1000, 'x'));
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kDataLoss));
  ASSERT_OK(Run().status());
  ExpectBackupOf(store_);
}

TEST_F(BackupTest, APackOfAnotherSizeIsFetchedAnew) {
  ASSERT_OK(Run().status());
  std::filesystem::resize_file(paths_.Pack(PackName('a')), 10);
  ASSERT_OK_AND_ASSIGN(const BackedUp backup, Run());
  ExpectBackupOf(store_);
  EXPECT_EQ(backup.packs_fetched, 1);
}

TEST_F(BackupTest, TheBackupOfAnotherStoreIsNotReplacedUnlessItIsMeant) {
  ASSERT_OK(Run().status());
  const FakeBackup old = store_;
  store_.packs = {{PackName('e'), VariedBytes(10)}};
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kFailedPrecondition,
                              HasSubstr("--replace")));
  ExpectBackupOf(old);
  ASSERT_OK(Run(/*replace=*/true).status());
  ExpectBackupOf(store_);
}

TEST_F(BackupTest, TheFolderOfAServerIsRefused) {
  std::filesystem::create_directories(dir_);
  WriteFile(dir_ + "/LOCK", "123\n");
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kFailedPrecondition,
                              HasSubstr("data directory of a server")));
  EXPECT_THAT(FilesIn(dir_), ElementsAre("LOCK"));
}

TEST_F(BackupTest, FilesThatAreNoBackupsAreRefused) {
  std::filesystem::create_directories(paths_.PacksDir());
  for (const std::string& path :
       {paths_.Catalog(), paths_.Checksums(), paths_.Pack("mine")}) {
    WriteFile(path, "precious");
    EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                HasSubstr("no BACKUP")));
    EXPECT_EQ(ReadFile(path), "precious");
    std::filesystem::remove(path);
  }
  WriteFile(dir_ + "/README", "not in the way");
  ASSERT_OK(Run().status());
  EXPECT_EQ(ReadFile(dir_ + "/README"), "not in the way");
}

TEST_F(BackupTest, TwoIntoOneFolderAreRefused) {
  ASSERT_OK_AND_ASSIGN(const BackupFolder other, BackupFolder::Open(dir_));
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kFailedPrecondition,
                              HasSubstr("locked")));
}

TEST_F(BackupTest, AnswersThatMakeNoSenseAreDataLossAndTouchNothing) {
  ASSERT_OK(Run().status());
  const FakeBackup old = store_;
  v1::BackUpStoreResponse outside;
  outside.mutable_file()->set_pack("../../outside");
  v1::BackUpStoreResponse chunk;
  chunk.set_chunk("x");
  v1::BackUpStoreResponse digest;
  digest.set_sha256("00");
  v1::BackUpStoreResponse far;
  far.mutable_file()->set_pack(PackName('f'));
  far.mutable_file()->set_size_bytes(100);
  far.mutable_file()->set_offset(50);
  v1::BackUpStoreResponse short_file;
  short_file.mutable_file()->set_pack(PackName('f'));
  short_file.mutable_file()->set_size_bytes(0);
  v1::BackUpStoreResponse kept;
  kept.mutable_kept()->add_names(PackName('a'));
  const std::vector<std::vector<v1::BackUpStoreResponse>> cases = {
      {kept, outside},
      {kept, chunk},
      {kept, digest},
      {kept, far},
      {kept, short_file, chunk},
      {kept, short_file, short_file},
      {kept, short_file},
      {kept}};
  for (const auto& messages : cases) {
    server_.methods().back_up_store = [&](auto* stream) {
      v1::BackUpStoreRequest request;
      while (stream->Read(&request)) {
      }
      for (const auto& message : messages) stream->Write(message);
      return grpc::Status::OK;
    };
    EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kDataLoss));
    std::filesystem::remove(paths_.Staged(PackName('f')));
    ExpectBackupOf(old);
  }
  EXPECT_THAT(FilesIn(parent_.path()), ElementsAre("deep"));
}

}  // namespace
}  // namespace warmstart::client
