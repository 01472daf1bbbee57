#include "server/store/placement.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/store/store_test_util.h"

namespace warmstart::store {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

PlacedBlob At(int64_t offset, int64_t num_bytes) {
  return PlacedBlob{.blob = {.num_bytes = num_bytes}, .offset = offset};
}

std::vector<std::pair<int64_t, int64_t>> RangesOf(
    const std::vector<Run>& runs) {
  std::vector<std::pair<int64_t, int64_t>> ranges;
  for (const Run& run : runs) ranges.emplace_back(run.offset, run.num_bytes);
  return ranges;
}

using Ranges = std::vector<std::pair<int64_t, int64_t>>;

TEST(PlacementTest, NoBlobsAreNoRuns) {
  EXPECT_THAT(MergeIntoRuns({}), IsEmpty());
}

TEST(PlacementTest, SeparateBlobsAreRunsInOrder) {
  EXPECT_EQ(RangesOf(MergeIntoRuns({At(200, 5), At(0, 10), At(64, 1)})),
            (Ranges{{0, 10}, {64, 1}, {200, 5}}));
}

TEST(PlacementTest, OverlappingBlobsShareARun) {
  const auto runs =
      MergeIntoRuns({At(0, 100), At(50, 100), At(120, 10), At(160, 1)});
  EXPECT_EQ(RangesOf(runs), (Ranges{{0, 150}, {160, 1}}));
  EXPECT_THAT(runs[0].blobs, SizeIs(3));
}

TEST(PlacementTest, ABlobInsideAnotherDoesNotCutTheRun) {
  EXPECT_EQ(RangesOf(MergeIntoRuns({At(0, 100), At(10, 5), At(90, 20)})),
            (Ranges{{0, 110}}));
}

TEST(PlacementTest, TouchingBlobsStaySeparate) {
  EXPECT_EQ(RangesOf(MergeIntoRuns({At(0, 10), At(10, 10)})),
            (Ranges{{0, 10}, {10, 10}}));
}

TEST(PlacementTest, TheSameBytesTwiceCountOnce) {
  const auto runs = MergeIntoRuns({At(0, 40), At(0, 40)});
  EXPECT_EQ(RangesOf(runs), (Ranges{{0, 40}}));
  EXPECT_FALSE(ShouldAdopt(100, runs));
}

TEST(PlacementTest, AFileIsAdoptedFromHalfOfItsBytesOn) {
  EXPECT_TRUE(ShouldAdopt(100, MergeIntoRuns({At(0, 100)})));
  EXPECT_TRUE(ShouldAdopt(100, MergeIntoRuns({At(0, 20), At(50, 30)})));
  EXPECT_FALSE(ShouldAdopt(100, MergeIntoRuns({At(0, 20), At(50, 29)})));
  EXPECT_FALSE(ShouldAdopt(101, MergeIntoRuns({At(0, 50)})));
}

TEST(PlacementTest, DigestsOfEntriesAndStoragesAreNamed) {
  Manifest manifest = ManifestOf({{"a", "1"}, {"b", "2"}, {"c", "1"}});
  manifest.storages.push_back({Digest::Of("3"), 1});
  EXPECT_THAT(
      DigestsOf(manifest),
      UnorderedElementsAre(Digest::Of("1"), Digest::Of("2"), Digest::Of("3")));
}

TEST(PlacementTest, RunsOfAPackBeginAtMultiplesOf64) {
  EXPECT_EQ(AlignInPack(0), 0);
  EXPECT_EQ(AlignInPack(1), 64);
  EXPECT_EQ(AlignInPack(64), 64);
  EXPECT_EQ(AlignInPack(65), 128);
}

// What would be copied has the size that it has once it is copied.
TEST(PlacementTest, ThePackedSizeIsThatOfTheRunsOneAfterAnother) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    std::vector<PlacedBlob> blobs;
    const int count = 1 + static_cast<int>(random() % 20);
    for (int i = 0; i < count; ++i) {
      blobs.push_back(At(random() % 1000, 1 + random() % 200));
    }
    int64_t expected = 0;
    for (const store::Run& run : MergeIntoRuns(blobs)) {
      expected = AlignInPack(expected) + run.num_bytes;
    }
    std::sort(blobs.begin(), blobs.end(),
              [](const PlacedBlob& a, const PlacedBlob& b) {
                return a.offset < b.offset;
              });
    PackedSize size;
    for (const PlacedBlob& placed : blobs) {
      size.Add(placed.offset, placed.blob.num_bytes);
    }
    EXPECT_EQ(size.num_bytes(), expected) << "seed " << seed;
  }
}

}  // namespace
}  // namespace warmstart::store
