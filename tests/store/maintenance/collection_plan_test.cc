#include "server/store/maintenance/collection_plan.h"

#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmstart::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int64_t kMiB = int64_t{1} << 20;

PackUsage Pack(const std::string& id, int64_t num_bytes, int64_t live_bytes) {
  return {.id = id, .num_bytes = num_bytes, .live_bytes = live_bytes};
}

std::vector<std::string> IdsOf(const std::vector<PackUsage>& packs) {
  std::vector<std::string> ids;
  for (const PackUsage& pack : packs) ids.push_back(pack.id);
  return ids;
}

std::vector<std::vector<std::string>> GroupsOf(const CollectionPlan& plan) {
  std::vector<std::vector<std::string>> groups;
  for (const PackGroup& group : plan.groups) {
    groups.push_back(IdsOf(group.packs));
  }
  return groups;
}

TEST(CollectionPlanTest, NothingIsDoneWhereAllIsLiveAndLarge) {
  EXPECT_THAT(PlanCollection({}, {}).groups, IsEmpty());
  EXPECT_THAT(
      PlanCollection(
          {Pack("a", 10 * kMiB, 10 * kMiB), Pack("b", 10 * kMiB, 5 * kMiB)}, {})
          .groups,
      IsEmpty());
}

TEST(CollectionPlanTest, WhatIsMostlyDeadIsRewrittenAlone) {
  const CollectionPlan plan = PlanCollection(
      {Pack("a", 20 * kMiB, 10 * kMiB - 1), Pack("b", 20 * kMiB, 10 * kMiB)},
      {});
  EXPECT_THAT(GroupsOf(plan), ElementsAre(ElementsAre("a")));
  EXPECT_EQ(plan.groups[0].num_bytes, 10 * kMiB - 1);
  EXPECT_EQ(plan.groups[0].gain, 10 * kMiB + 1);
}

TEST(CollectionPlanTest, TheShareDecides) {
  const std::vector<PackUsage> packs = {Pack("a", 20 * kMiB, 20 * kMiB - 1),
                                        Pack("b", 20 * kMiB, 20 * kMiB)};
  EXPECT_THAT(GroupsOf(PlanCollection(packs, {.min_live_share = 1})),
              ElementsAre(ElementsAre("a")));
  EXPECT_THAT(
      PlanCollection({Pack("a", 20 * kMiB, 5 * kMiB)}, {.min_live_share = 0})
          .groups,
      IsEmpty());
}

TEST(CollectionPlanTest, SmallOnesAreMergedWhereThereAreSeveral) {
  EXPECT_THAT(PlanCollection({Pack("a", kMiB, kMiB)}, {}).groups, IsEmpty());
  const CollectionPlan plan =
      PlanCollection({Pack("a", kMiB + 1, kMiB + 1),
                      Pack("large", 9 * kMiB, 9 * kMiB), Pack("b", kMiB, kMiB)},
                     {});
  EXPECT_THAT(GroupsOf(plan), ElementsAre(ElementsAre("a", "b")));
  // The second is aligned.
  EXPECT_EQ(plan.groups[0].num_bytes, 2 * kMiB + 64);
  EXPECT_EQ(plan.groups[0].gain, -63);
}

TEST(CollectionPlanTest, WhatIsSmallOnceItIsRewrittenIsMerged) {
  EXPECT_THAT(GroupsOf(PlanCollection(
                  {Pack("a", 90 * kMiB, kMiB), Pack("b", kMiB, kMiB)}, {})),
              ElementsAre(ElementsAre("a", "b")));
  EXPECT_THAT(GroupsOf(PlanCollection({Pack("a", 90 * kMiB, kMiB)}, {})),
              ElementsAre(ElementsAre("a")));
}

TEST(CollectionPlanTest, NoneIsMergedBelowNothing) {
  EXPECT_THAT(PlanCollection({Pack("a", 10, 10), Pack("b", 10, 10)},
                             {.merge_below_bytes = 0})
                  .groups,
              IsEmpty());
}

TEST(CollectionPlanTest, MergedPacksAreNotSoSmallThatTheyAreMergedAgain) {
  const std::vector<PackUsage> packs(100, Pack("a", 3 * kMiB, 3 * kMiB));
  std::vector<PackUsage> merged;
  size_t num_packs = 0;
  for (const PackGroup& group : PlanCollection(packs, {}).groups) {
    num_packs += group.packs.size();
    merged.push_back(Pack("b", group.num_bytes, group.num_bytes));
    EXPECT_LE(group.num_bytes, 64 * kMiB);
  }
  EXPECT_EQ(num_packs, 100);
  EXPECT_THAT(merged, SizeIs(5));
  EXPECT_THAT(PlanCollection(merged, {}).groups, IsEmpty());
}

TEST(CollectionPlanTest, WhatAlignmentWouldMakeLargerIsLeft) {
  // A thousand tensors of a byte each.
  const PackUsage tiny = Pack("tiny", 1000, 999 * 64 + 1);
  EXPECT_THAT(PlanCollection({tiny, tiny, tiny}, {.min_live_share = 1}).groups,
              IsEmpty());
}

TEST(CollectionPlanTest, TheGreatestGainComesFirst) {
  EXPECT_THAT(GroupsOf(PlanCollection(
                  {Pack("small", kMiB, kMiB), Pack("less", 30 * kMiB, 8 * kMiB),
                   Pack("more", 80 * kMiB, 10 * kMiB), Pack("too", kMiB, kMiB)},
                  {})),
              ElementsAre(ElementsAre("more"), ElementsAre("less"),
                          ElementsAre("small", "too")));
}

TEST(CollectionPlanTest, TheBudgetIsKeptAndWhatDoesNotFitIsTold) {
  const CollectionPlan plan = PlanCollection(
      {Pack("a", 90 * kMiB, 10 * kMiB), Pack("b", 80 * kMiB, 10 * kMiB),
       Pack("c", 30 * kMiB, 5 * kMiB)},
      {.max_written_bytes = 15 * kMiB});
  EXPECT_THAT(GroupsOf(plan), ElementsAre(ElementsAre("a"), ElementsAre("c")));
  EXPECT_THAT(IdsOf(plan.over_budget), ElementsAre("b"));
}

TEST(CollectionPlanTest, MergedPacksAreMadeToFitIntoTheBudget) {
  const std::vector<PackUsage> packs(10, Pack("a", kMiB, kMiB));
  const CollectionPlan plan =
      PlanCollection(packs, {.max_written_bytes = 3 * kMiB});
  EXPECT_THAT(plan.groups,
              ElementsAre(::testing::Field(&PackGroup::num_bytes, 3 * kMiB)));
  EXPECT_THAT(plan.over_budget, SizeIs(6));
}

TEST(CollectionPlanTest, DamagedPacksAreLeftAndTold) {
  PackUsage damaged = Pack("damaged", 90 * kMiB, kMiB);
  damaged.has_damage = true;
  const CollectionPlan plan = PlanCollection(
      {damaged, Pack("a", kMiB, kMiB), Pack("b", kMiB, kMiB)}, {});
  EXPECT_THAT(GroupsOf(plan), ElementsAre(ElementsAre("a", "b")));
  EXPECT_THAT(IdsOf(plan.damaged), ElementsAre("damaged"));
}

TEST(CollectionPlanTest, TheGreatestThresholdDoesNotOverflow) {
  const std::vector<PackUsage> packs(3, Pack("a", kMiB, kMiB));
  EXPECT_THAT(PlanCollection(packs, {.merge_below_bytes =
                                         std::numeric_limits<int64_t>::max()})
                  .groups,
              SizeIs(1));
}

}  // namespace
}  // namespace warmstart::store
