#include "server/service/collect_garbage.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

bool Never() { return false; }

// Two saves, each of more than the catalog takes.
void SaveTwoPacks(World& world) {
  for (const int first : {1, 2}) {
    world.MustSave(MakeSafetensors({FloatTensor("w", {200, 200}, first)}));
  }
  ASSERT_THAT(world.Packs(), SizeIs(2));
}

TEST(CollectGarbageTest, TheStoreDecidesWhatIsNotSet) {
  World world;
  SaveTwoPacks(world);
  ASSERT_OK_AND_ASSIGN(
      const store::Collection told,
      CollectGarbage(world.context(), {.dry_run = true}, Never));
  EXPECT_EQ(told.num_merged, 2);
  EXPECT_THAT(world.Packs(), SizeIs(2));
  ASSERT_OK_AND_ASSIGN(const store::Collection done,
                       CollectGarbage(world.context(), {}, Never));
  EXPECT_EQ(done.num_merged, 2);
  EXPECT_THAT(world.Packs(), SizeIs(1));
}

TEST(CollectGarbageTest, ThresholdsReachTheStore) {
  World world;
  SaveTwoPacks(world);
  ASSERT_OK_AND_ASSIGN(
      const store::Collection none,
      CollectGarbage(world.context(), {.merge_below_bytes = 0}, Never));
  EXPECT_EQ(none.num_merged, 0);
  ASSERT_OK_AND_ASSIGN(
      const store::Collection over,
      CollectGarbage(world.context(),
                     {.min_live_share = 1, .max_written_bytes = 0}, Never));
  EXPECT_EQ(over.num_over_budget, 2);
  EXPECT_THAT(world.Packs(), SizeIs(2));
}

TEST(CollectGarbageTest, WhatMakesNoSenseIsRefusedWithTheField) {
  World world;
  const auto field_of = [&](const CollectGarbageRequest& request) {
    const auto result = CollectGarbage(world.context(), request, Never);
    EXPECT_THAT(result, StatusIs(absl::StatusCode::kInvalidArgument));
    return FieldOf(result.status());
  };
  for (const double share :
       {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_EQ(field_of({.min_live_share = share}), "min_live_share");
  }
  EXPECT_EQ(field_of({.merge_below_bytes = -1}), "merge_below_bytes");
  EXPECT_EQ(field_of({.max_written_bytes = -1}), "max_written_bytes");
}

TEST(CollectGarbageTest, ItCanBeCancelled) {
  World world;
  SaveTwoPacks(world);
  EXPECT_THAT(CollectGarbage(world.context(), {}, [] { return true; }),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(world.Packs(), SizeIs(2));
}

}  // namespace
}  // namespace warmstart::service
