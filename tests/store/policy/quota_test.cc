#include "server/store/policy/quota.h"

#include <atomic>
#include <limits>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::store {
namespace {

using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

constexpr absl::StatusCode kExhausted = absl::StatusCode::kResourceExhausted;
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

TEST(QuotaTest, WithoutLimitsEverythingFits) {
  Quota quota({});
  Quota::Reservation one(quota);
  Quota::Reservation two(quota);
  EXPECT_OK(one.Grow(kMost));
  EXPECT_OK(two.Grow(kMost));
  EXPECT_OK(quota.CheckUpload(kMost));
  EXPECT_OK(quota.CheckOneMore());
  EXPECT_OK(quota.CheckChange({.stored_bytes = kMost, .num_checkpoints = 1},
                              nullptr));
}

TEST(QuotaTest, WhatIsReceivedCountsUntilItsSaveEnds) {
  Quota quota({.max_bytes = 100});
  quota.Apply({.stored_bytes = 40}, nullptr);
  {
    Quota::Reservation one(quota);
    Quota::Reservation two(quota);
    EXPECT_OK(one.Grow(30));
    EXPECT_OK(two.Grow(30));
    EXPECT_THAT(one.Grow(1), StatusIs(kExhausted));
    EXPECT_EQ(quota.usage().receiving_bytes, 60);
  }
  EXPECT_EQ(quota.usage().receiving_bytes, 0);
  EXPECT_EQ(quota.usage().stored_bytes, 40);
}

TEST(QuotaTest, RoomPassesFromOneToAnother) {
  Quota quota({.max_bytes = 100});
  Quota::Reservation one(quota);
  {
    Quota::Reservation two(quota);
    two.Insist(150);  // it is there, whatever the limit
    EXPECT_THAT(one.Grow(1), StatusIs(kExhausted));
    one.TakeFrom(two, 60);
    EXPECT_EQ(quota.usage().receiving_bytes, 150);
    one.TakeFrom(two, 1000);
    one.TakeFrom(two, -1);
  }
  EXPECT_EQ(quota.usage().receiving_bytes, 150);
  quota.Apply({}, &one);
  EXPECT_EQ(quota.usage().receiving_bytes, 0);
}

TEST(QuotaTest, WhatIsStoredTakesThePlaceOfItsReservation) {
  Quota quota({.max_bytes = 100});
  Quota::Reservation one(quota);
  Quota::Reservation two(quota);
  ASSERT_OK(one.Grow(60));
  ASSERT_OK(two.Grow(40));
  const UsageChange change = {.stored_bytes = 50};
  EXPECT_OK(quota.CheckChange(change, &one));
  EXPECT_THAT(quota.CheckChange(change, &two), StatusIs(kExhausted));
  EXPECT_THAT(quota.CheckChange(change, nullptr), StatusIs(kExhausted));
  quota.Apply(change, &one);
  EXPECT_EQ(quota.usage().stored_bytes, 50);
  EXPECT_EQ(quota.usage().receiving_bytes, 40);
}

TEST(QuotaTest, WhatAddsNothingFitsEvenBeyondTheLimit) {
  Quota quota({.max_bytes = 10, .max_checkpoints = 1});
  quota.Apply({.stored_bytes = 20, .num_checkpoints = 2}, nullptr);
  EXPECT_OK(quota.CheckChange({}, nullptr));
  EXPECT_OK(
      quota.CheckChange({.stored_bytes = -5, .num_checkpoints = -1}, nullptr));
  EXPECT_THAT(quota.CheckChange({.num_checkpoints = 1}, nullptr),
              StatusIs(kExhausted));
  EXPECT_THAT(quota.CheckOneMore(), StatusIs(kExhausted));
}

TEST(QuotaTest, ErrorsNameTheLimitAndTheWayOut) {
  Quota quota({.max_bytes = 100, .max_checkpoints = 3, .max_upload_bytes = 50});
  quota.Apply({.stored_bytes = 70, .num_checkpoints = 3}, nullptr);
  Quota::Reservation receiving(quota);
  const struct {
    absl::Status status;
    const char* flag;
    const char* limit;
    const char* usage;
  } cases[] = {
      {receiving.Grow(31), "--max-store-bytes", "100", "70"},
      {quota.CheckOneMore(), "--max-checkpoints", "3", "3"},
      {quota.CheckUpload(51), "--max-upload-bytes", "50", "0"},
  };
  for (const auto& [status, flag, limit, usage] : cases) {
    EXPECT_THAT(status, StatusIs(kExhausted, HasSubstr(flag)));
    EXPECT_THAT(status.message(), HasSubstr("higher limit"));
    const std::optional<ErrorInfo> info = GetErrorInfo(status);
    ASSERT_TRUE(info.has_value());
    EXPECT_EQ(info->reason, reason::kQuotaExceeded);
    EXPECT_EQ(info->metadata.at("flag"), flag);
    EXPECT_EQ(info->metadata.at("limit"), limit);
    EXPECT_EQ(info->metadata.at("usage"), usage);
  }
}

TEST(QuotaTest, OfManyWhoWantTheLastByteOneGetsIt) {
  Quota quota({.max_bytes = 100});
  quota.Apply({.stored_bytes = 99}, nullptr);
  std::atomic<int> got = 0;
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<Quota::Reservation>> reservations;
  for (int i = 0; i < 8; ++i) {
    reservations.push_back(std::make_unique<Quota::Reservation>(quota));
    threads.emplace_back([&got, own = reservations.back().get()] {
      if (own->Grow(1).ok()) ++got;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(got, 1);
}

}  // namespace
}  // namespace warmstart::store
