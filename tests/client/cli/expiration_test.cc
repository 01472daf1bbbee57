#include "client/cli/expiration.h"

#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

absl::StatusOr<Expiration> Value(const std::vector<std::string>& args) {
  static constexpr Flag kFlags[] = {kTtlFlag, kExpireTimeFlag};
  const absl::StatusOr<Arguments> arguments = ParseArguments(kFlags, args);
  if (!arguments.ok()) return arguments.status();
  return ExpirationValue(*arguments);
}

// -1 where it is no duration.
int64_t Ttl(const std::string& text) {
  const absl::StatusOr<Expiration> value = Value({"--ttl", text});
  if (!value.ok()) return -1;
  return std::get<google::protobuf::Duration>(*value).seconds();
}

// -1 where it is no time.
int64_t Time(const std::string& text) {
  const absl::StatusOr<Expiration> value = Value({"--expire-time", text});
  if (!value.ok()) return -1;
  return std::get<google::protobuf::Timestamp>(*value).seconds();
}

int64_t LocalTime(absl::CivilSecond second) {
  return absl::ToUnixSeconds(absl::FromCivil(second, absl::LocalTimeZone()));
}

TEST(ExpirationTest, DurationsHaveUnitsUpToWeeks) {
  EXPECT_EQ(Ttl("90s"), 90);
  EXPECT_EQ(Ttl("90m"), 5400);
  EXPECT_EQ(Ttl("36h"), 36 * 3600);
  EXPECT_EQ(Ttl("7d"), 7 * 86400);
  EXPECT_EQ(Ttl("2w"), 14 * 86400);
  EXPECT_EQ(Ttl("1d12h"), 36 * 3600);
  for (const char* text : {"", "7", "d", "0d", "-7d", "7d12", "7y", "7 d",
                           "99999999999999999999d", "9999999999w"}) {
    EXPECT_EQ(Ttl(text), -1) << text;
  }
}

TEST(ExpirationTest, TimesAreLocalUnlessTheyHaveAZone) {
  EXPECT_EQ(Time("2030-01-02T03:04:05Z"), 1893553445);
  EXPECT_EQ(Time("2030-01-02T03:04:05+01:00"), 1893549845);
  EXPECT_EQ(Time("2030-01-02"), LocalTime(absl::CivilSecond(2030, 1, 2)));
  EXPECT_EQ(Time("2030-01-02 03:04"),
            LocalTime(absl::CivilSecond(2030, 1, 2, 3, 4)));
  EXPECT_EQ(Time("2030-01-02T03:04:05"),
            LocalTime(absl::CivilSecond(2030, 1, 2, 3, 4, 5)));
  for (const char* text :
       {"", "tomorrow", "2030-13-01", "infinite-future", "2030"}) {
    EXPECT_EQ(Time(text), -1) << text;
  }
}

TEST(ExpirationTest, OneOfTheTwoIsEnough) {
  ASSERT_OK_AND_ASSIGN(const Expiration none, Value({}));
  EXPECT_TRUE(std::holds_alternative<std::monostate>(none));
  EXPECT_THAT(Value({"--ttl", "7d", "--expire-time", "2030-01-01"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("exclude each other")));
}

}  // namespace
}  // namespace warmstart::client
