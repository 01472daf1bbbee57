#include "server/store/page_token.h"

#include <climits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::store {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

const auto kRefused =
    StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("page_token"));

TEST(PageTokenTest, ThePositionComesBack) {
  for (const char* position : {"", "17", "resnet50/prod"}) {
    EXPECT_THAT(
        DecodePageToken({"aliases"}, EncodePageToken({"aliases"}, position)),
        IsOkAndHolds(position));
  }
}

TEST(PageTokenTest, AnotherListingsTokenIsRefused) {
  const std::string token = EncodePageToken({"checkpoints", "NetA"}, "17");
  EXPECT_THAT(DecodePageToken({"checkpoints", "NetB"}, token), kRefused);
  EXPECT_THAT(DecodePageToken({"checkpoints"}, token), kRefused);
  EXPECT_THAT(DecodePageToken({"checkpointsNetA"}, token), kRefused);
}

TEST(PageTokenTest, PartsOfAListingDoNotRunTogether) {
  EXPECT_THAT(DecodePageToken({"a", "bc"}, EncodePageToken({"ab", "c"}, "1")),
              kRefused);
}

TEST(PageTokenTest, EveryChangedOrCutTokenIsRefused) {
  const std::string token = EncodePageToken({"aliases"}, "prod");
  for (size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_THAT(DecodePageToken({"aliases"}, changed), kRefused) << i;
    EXPECT_THAT(DecodePageToken({"aliases"}, token.substr(0, i)), kRefused);
  }
  EXPECT_THAT(DecodePageToken({"aliases"}, "not base64!"), kRefused);
}

TEST(PageTokenTest, TokensDoNotShowThePosition) {
  EXPECT_THAT(EncodePageToken({"aliases"}, "prod"), Not(HasSubstr("prod")));
}

TEST(PageTokenTest, PageSizesAreBounded) {
  EXPECT_THAT(EffectivePageSize(0), IsOkAndHolds(50));
  EXPECT_THAT(EffectivePageSize(1), IsOkAndHolds(1));
  EXPECT_THAT(EffectivePageSize(1000), IsOkAndHolds(1000));
  EXPECT_THAT(EffectivePageSize(INT_MAX), IsOkAndHolds(1000));
  EXPECT_THAT(
      EffectivePageSize(-1),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("page_size")));
}

}  // namespace
}  // namespace warmstart::store
