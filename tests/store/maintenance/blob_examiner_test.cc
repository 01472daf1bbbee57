#include "server/store/maintenance/blob_examiner.h"

#include <filesystem>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/local/local_pack_store.h"
#include "server/store/local/paths.h"
#include "server/store/sqlite/sqlite_catalog.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/faulty_file_system.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::warmstart::testing::StatusIs;

const std::string kBytes = RandomBytes(2'500'000, 1);

class BlobExaminerTest : public ::testing::Test {
 protected:
  // A pack that has the bytes at offset 10.
  void SetUp() override {
    const std::unique_ptr<StagedPack> staged = packs_->Stage().value();
    ASSERT_OK(staged->Append(std::string(10, 'x') + kBytes + "rest"));
    ASSERT_OK(staged->Publish());
    blob_ = {.blob = BlobOf(kBytes), .pack = staged->id(), .offset = 10};
  }

  absl::Status Examine() {
    return BlobExaminer(*packs_, *catalog_).Examine(blob_, [](int64_t) {
      return absl::OkStatus();
    });
  }

  testing::TempDir dir_;
  testing::FaultyFileSystem file_system_{PosixFileSystem()};
  StorePaths paths_{dir_.path()};
  std::unique_ptr<PackStore> packs_ =
      OpenLocalPackStore(paths_, file_system_).value();
  std::unique_ptr<Catalog> catalog_ =
      OpenSqliteCatalog(paths_.Catalog()).value();
  BlobLocation blob_;
};

TEST_F(BlobExaminerTest, IntactBytesAreIntact) { EXPECT_OK(Examine()); }

TEST_F(BlobExaminerTest, AFlippedBitIsDataLoss) {
  FlipBit(paths_.Pack(blob_.pack), kBytes);
  EXPECT_THAT(Examine(), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(BlobExaminerTest, APackThatIsGoneOrCutIsDataLoss) {
  std::filesystem::resize_file(paths_.Pack(blob_.pack), 2'500'009);
  EXPECT_THAT(Examine(), StatusIs(absl::StatusCode::kDataLoss));
  std::filesystem::remove(paths_.Pack(blob_.pack));
  EXPECT_THAT(Examine(), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(BlobExaminerTest, WhatFailsOnceIsLookedAtAgain) {
  int step = 0;
  for (bool failed = true; failed; ++step) {
    for (const absl::Status& error :
         {absl::DataLossError("EIO"), absl::InternalError("EIO")}) {
      file_system_.FailAt(step, error);
      EXPECT_OK(Examine()) << step;
      failed = file_system_.has_struck();
    }
  }
  EXPECT_GT(step, 4);  // opened, measured, read three times
}

TEST_F(BlobExaminerTest, WhatCannotBeLookedAtIsNotDamaged) {
  file_system_.CrashAt(0);
  EXPECT_THAT(Examine(), StatusIs(absl::StatusCode::kInternal));
}

TEST_F(BlobExaminerTest, ProgressIsToldAndEndsIt) {
  BlobExaminer examiner(*packs_, *catalog_);
  int64_t last = 0;
  EXPECT_OK(examiner.Examine(blob_, [&](int64_t num_read) {
    EXPECT_GT(num_read, last);
    last = num_read;
    return absl::OkStatus();
  }));
  EXPECT_EQ(last, 2'500'000);
  EXPECT_THAT(
      examiner.Examine(blob_,
                       [](int64_t) { return absl::CancelledError("enough"); }),
      StatusIs(absl::StatusCode::kCancelled, "enough"));
}

TEST_F(BlobExaminerTest, WhatTheCatalogKeepsIsLookedAtThere) {
  NewCheckpoint request;
  request.manifest = ManifestOf({{"w", "11"}});
  ASSERT_OK(catalog_->Commit(MakeCheckpointName("one"), absl::Now(), request,
                             {.small = {{BlobOf("11"), "11"}}}));
  blob_ = {.blob = BlobOf("11")};
  EXPECT_OK(Examine());
  blob_.blob = BlobOf("not there");
  EXPECT_THAT(Examine(), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace warmstart::store
