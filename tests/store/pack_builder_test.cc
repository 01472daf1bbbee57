#include "server/store/pack_builder.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/local/local_pack_store.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/faulty_file_system.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

class PackBuilderTest : public ::testing::Test {
 protected:
  testing::TempDir dir_;
  testing::FaultyFileSystem file_system_{PosixFileSystem()};
  StorePaths paths_{dir_.path()};
  std::unique_ptr<PackStore> packs_ =
      OpenLocalPackStore(paths_, file_system_).value();
};

TEST_F(PackBuilderTest, NothingAppendedStagesNothing) {
  const PackBuilder builder(*packs_);
  EXPECT_TRUE(builder.empty());
  EXPECT_THAT(FilesIn(paths_.StagingDir()), IsEmpty());
}

TEST_F(PackBuilderTest, RunsAreAlignedAndBlobsKeepTheirPlaceInThem) {
  PackBuilder builder(*packs_);
  const std::string file = "..hello, world..";
  ASSERT_OK(builder.Append(
      file, {.offset = 2,
             .num_bytes = 12,
             .blobs = {{BlobOf("hello, world"), 2}, {BlobOf("world"), 9}}}));
  ASSERT_OK(builder.Append(
      file, {.offset = 0, .num_bytes = 2, .blobs = {{BlobOf(".."), 0}}}));
  EXPECT_FALSE(builder.empty());
  const NewPack& pack = builder.pack();
  EXPECT_EQ(pack.id, builder.staged().id());
  EXPECT_EQ(pack.num_bytes, 66);
  ASSERT_THAT(pack.blobs, SizeIs(3));
  EXPECT_EQ(pack.blobs[0].offset, 0);
  EXPECT_EQ(pack.blobs[1].offset, 7);
  EXPECT_EQ(pack.blobs[1].blob.digest, Digest::Of("world"));
  EXPECT_EQ(pack.blobs[2].offset, 64);
  EXPECT_THAT(builder.staged().Finish(),
              IsOkAndHolds("hello, world" + std::string(52, '\0') + ".."));
}

TEST_F(PackBuilderTest, RunsOfAPackAreCopiedAsThoseOfAFile) {
  PackBuilder first(*packs_);
  const std::string file = "hello, world";
  ASSERT_OK(first.Append(file, {.offset = 0, .num_bytes = 12}));
  ASSERT_OK(first.staged().Publish());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<PackScanner> pack,
                       packs_->OpenForScan(first.pack().id));
  PackBuilder second(*packs_);
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK(second.Append(
        *pack, {.offset = 7, .num_bytes = 5, .blobs = {{BlobOf("world"), 7}}}));
  }
  EXPECT_EQ(second.pack().num_bytes, 69);
  EXPECT_EQ(second.pack().blobs[1].offset, 64);
  EXPECT_THAT(second.staged().Finish(),
              IsOkAndHolds("world" + std::string(59, '\0') + "world"));
  EXPECT_THAT(
      PackBuilder(*packs_).Append(*pack, {.offset = 10, .num_bytes = 5}),
      StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(PackBuilderTest, AFullDiskIsReportedAndLeavesNothing) {
  {
    PackBuilder builder(*packs_);
    file_system_.FailAt(2, absl::ResourceExhaustedError("full"));
    EXPECT_THAT(builder.Append("1234", {.offset = 0, .num_bytes = 4}),
                StatusIs(absl::StatusCode::kResourceExhausted));
  }
  EXPECT_THAT(FilesIn(paths_.StagingDir()), IsEmpty());
}

}  // namespace
}  // namespace warmstart::store
