#include "client/cpp/request_id.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmstart::client {
namespace {

using ::testing::MatchesRegex;

TEST(RequestIdTest, IsARandomUuid) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_THAT(NewRequestId(),
                MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-"
                             "[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  }
}

TEST(RequestIdTest, EachIsNew) { EXPECT_NE(NewRequestId(), NewRequestId()); }

}  // namespace
}  // namespace warmstart::client
