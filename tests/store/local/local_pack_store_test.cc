#include "server/store/local/local_pack_store.h"

#include <filesystem>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/store/pack_store_contract.h"
#include "tests/testing/faulty_file_system.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::warmstart::testing::StatusIs;

struct LocalBackend {
  std::unique_ptr<PackStore> Open() {
    return OpenLocalPackStore(StorePaths(dir.path()), PosixFileSystem())
        .value();
  }
  testing::TempDir dir;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Local, PackStoreContract, LocalBackend);

class LocalPackStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<StagedPack> StageWith(const std::string& content) {
    std::unique_ptr<StagedPack> staged = packs_->Stage().value();
    EXPECT_OK(staged->Append(content));
    return staged;
  }

  testing::TempDir dir_;
  testing::FaultyFileSystem file_system_{PosixFileSystem()};
  StorePaths paths_{dir_.path()};
  std::unique_ptr<PackStore> packs_ =
      OpenLocalPackStore(paths_, file_system_).value();
};

TEST_F(LocalPackStoreTest, AStagedFileMovesFromStagingToPacks) {
  const std::unique_ptr<StagedPack> staged = StageWith("x");
  EXPECT_THAT(FilesIn(paths_.StagingDir()), ElementsAre(staged->id()));
  EXPECT_THAT(FilesIn(paths_.PacksDir()), IsEmpty());
  ASSERT_OK(staged->Publish());
  EXPECT_THAT(FilesIn(paths_.StagingDir()), IsEmpty());
  EXPECT_THAT(FilesIn(paths_.PacksDir()), ElementsAre(staged->id()));
}

TEST_F(LocalPackStoreTest, AFailedBackgroundSyncFailsThePublish) {
  const std::unique_ptr<StagedPack> staged = StageWith("x");
  ASSERT_OK(staged->Finish().status());
  file_system_.FailAt(0, absl::InternalError("EIO"));
  staged->StartSync();
  EXPECT_THAT(staged->Publish(), StatusIs(absl::StatusCode::kInternal, "EIO"));
  EXPECT_THAT(FilesIn(paths_.PacksDir()), IsEmpty());
}

TEST_F(LocalPackStoreTest, AFailedSyncFailsThePublish) {
  const std::unique_ptr<StagedPack> staged = StageWith("x");
  file_system_.FailAt(0, absl::ResourceExhaustedError("full"));
  EXPECT_THAT(staged->Publish(),
              StatusIs(absl::StatusCode::kResourceExhausted, "full"));
  EXPECT_THAT(FilesIn(paths_.PacksDir()), IsEmpty());
}

TEST_F(LocalPackStoreTest, ACachedPackThatWasRemovedByHandIsDataLoss) {
  const std::unique_ptr<StagedPack> staged = StageWith("content");
  ASSERT_OK(staged->Publish());
  ASSERT_OK(packs_->Read(staged->id(), 0, 7).status());
  std::filesystem::remove(paths_.Pack(staged->id()));
  EXPECT_THAT(packs_->Read(staged->id(), 0, 7),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("is gone")));
}

TEST_F(LocalPackStoreTest, ACachedPackThatWasCutIsDataLossAndNoCrash) {
  const std::unique_ptr<StagedPack> staged =
      StageWith(std::string(100'000, 'x'));
  ASSERT_OK(staged->Publish());
  ASSERT_OK(packs_->Read(staged->id(), 0, 100'000).status());
  std::filesystem::resize_file(paths_.Pack(staged->id()), 10);
  EXPECT_THAT(packs_->Read(staged->id(), 0, 100'000),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("10 bytes")));
  EXPECT_EQ(packs_->Read(staged->id(), 0, 10)->bytes, "xxxxxxxxxx");
}

TEST_F(LocalPackStoreTest, ADiskErrorIsNotTakenForAMissingPack) {
  const std::unique_ptr<StagedPack> staged = StageWith("x");
  ASSERT_OK(staged->Publish());
  file_system_.FailAt(0, absl::InternalError("EIO"));
  EXPECT_THAT(packs_->Read(staged->id(), 0, 1),
              StatusIs(absl::StatusCode::kInternal, "EIO"));
}

TEST_F(LocalPackStoreTest, SweepEmptiesStagingAndLeavesFilesThatAreNotOurs) {
  const std::unique_ptr<StagedPack> staged = StageWith("x");
  std::filesystem::create_directory(paths_.PacksDir() + "/lost+found");
  ASSERT_OK(packs_->Sweep({}));
  EXPECT_THAT(FilesIn(paths_.StagingDir()), IsEmpty());
  EXPECT_THAT(FilesIn(paths_.PacksDir()), ElementsAre("lost+found"));
}

}  // namespace
}  // namespace warmstart::store
