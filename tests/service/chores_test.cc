#include "server/service/chores.h"

#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/uploads/upload_store.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

constexpr ChoreIntervals kAll = {.housekeeping = absl::Seconds(1),
                                 .garbage_collection = absl::Hours(1),
                                 .scrub = absl::Hours(2)};

bool Never() { return false; }
bool Always() { return true; }

class ChoresTest : public ::testing::Test {
 protected:
  ChoresTest() : world_(store::StoreOptions{.clock = &clock_}) {
    world_.context().log = [this](const std::string& line) {
      lines_.push_back(line);
    };
  }

  absl::StatusOr<bool> Do(const std::string& name,
                          const Housekeeper::IsStopping& is_stopping = Never) {
    for (const Housekeeper::Chore& chore : MakeChores(world_.context(), kAll)) {
      if (chore.name == name) return chore.step(is_stopping);
    }
    return absl::NotFoundError(name);
  }

  testing::FakeClock clock_;
  World world_;
  std::vector<std::string> lines_;
};

TEST_F(ChoresTest, WhatCostsMuchWaitsAnIntervalAndCanBeLeftOut) {
  const auto all = MakeChores(world_.context(), kAll);
  ASSERT_THAT(all, SizeIs(4));
  EXPECT_EQ(all[0].delay, absl::ZeroDuration());
  EXPECT_EQ(all[1].delay, absl::ZeroDuration());
  EXPECT_EQ(all[1].interval, absl::Seconds(1));
  EXPECT_EQ(all[2].delay, absl::Hours(1));
  EXPECT_EQ(all[3].delay, absl::Hours(2));
  EXPECT_THAT(MakeChores(world_.context(),
                         {.garbage_collection = absl::ZeroDuration()}),
              SizeIs(2));
}

TEST_F(ChoresTest, UploadsThatNobodyGoesOnWithAreSwept) {
  ASSERT_OK(world_.store().uploads().Create({{"model.pt", 10}}));
  EXPECT_THAT(Do("uploads"), testing::IsOkAndHolds(false));
  EXPECT_THAT(world_.Uploads(), SizeIs(1));
  clock_.Advance(store::StoreOptions().upload_ttl + absl::Seconds(1));
  EXPECT_THAT(Do("uploads"), testing::IsOkAndHolds(false));
  EXPECT_THAT(world_.Uploads(), IsEmpty());
}

TEST_F(ChoresTest, GarbageIsCollectedAndOnlyThenTold) {
  EXPECT_THAT(Do("garbage collection"), testing::IsOkAndHolds(false));
  EXPECT_THAT(lines_, IsEmpty());
  for (const int first : {1, 2}) {
    world_.MustSave(MakeSafetensors({FloatTensor("w", {200, 200}, first)}));
  }
  EXPECT_THAT(Do("garbage collection"), testing::IsOkAndHolds(false));
  EXPECT_THAT(world_.Packs(), SizeIs(1));
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("rewrote 2 packs")));
}

TEST_F(ChoresTest, AScrubTellsOfDamage) {
  world_.MustSave(MakeSafetensors({FloatTensor("w", {40'000}, 1)}));
  EXPECT_THAT(Do("scrub"), testing::IsOkAndHolds(false));
  EXPECT_THAT(lines_, ElementsAre("scrub: read 1 tensors of 160000 bytes"));
  std::filesystem::remove(world_.PackPath(world_.Packs().at(0)));
  EXPECT_THAT(Do("scrub"), testing::IsOkAndHolds(false));
  EXPECT_THAT(lines_.back(), AllOf(HasSubstr("1 are damaged"),
                                   HasSubstr("admin scrub --list")));
}

TEST_F(ChoresTest, AServerThatStopsWaitsForNoneOfThem) {
  for (const int first : {1, 2}) {
    world_.MustSave(MakeSafetensors({FloatTensor("w", {200, 200}, first)}));
  }
  EXPECT_THAT(Do("garbage collection", Always),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(Do("scrub", Always), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(world_.Packs(), SizeIs(2));
}

}  // namespace
}  // namespace warmstart::service
