#include "client/cli/values.h"

#include <vector>

#include "client/cli/usage_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

Arguments With(const std::string& value) {
  return Arguments({}, {{"flag", value}});
}
const Arguments kWithout({}, {});

template <typename T>
void ExpectUsageError(const absl::StatusOr<T>& value, const std::string& text) {
  EXPECT_TRUE(IsUsageError(value.status())) << text;
  EXPECT_THAT(std::string(value.status().message()), HasSubstr(text));
}

TEST(ValuesTest, WholeNumbers) {
  EXPECT_THAT(Uint64Value(kWithout, "flag"), IsOkAndHolds(std::nullopt));
  EXPECT_THAT(Uint64Value(With("0"), "flag"), IsOkAndHolds(0));
  EXPECT_THAT(Uint64Value(With("18446744073709551615"), "flag"),
              IsOkAndHolds(18446744073709551615u));
  for (const char* text : {"-1", "18446744073709551616", "1.5", "x", ""}) {
    ExpectUsageError(Uint64Value(With(text), "flag"),
                     std::string("not \"") + text + "\"");
  }
}

TEST(ValuesTest, Fractions) {
  EXPECT_THAT(FractionValue(kWithout, "flag"), IsOkAndHolds(std::nullopt));
  EXPECT_THAT(FractionValue(With("0"), "flag"), IsOkAndHolds(0.));
  EXPECT_THAT(FractionValue(With("0.95"), "flag"), IsOkAndHolds(0.95));
  EXPECT_THAT(FractionValue(With("1"), "flag"), IsOkAndHolds(1.));
  for (const char* text : {"-0.1", "1.01", "nan", "inf", "90%", ""}) {
    ExpectUsageError(FractionValue(With(text), "flag"),
                     "--flag takes a number from 0 to 1");
  }
}

TEST(ValuesTest, Bytes) {
  EXPECT_THAT(BytesValue(kWithout, "flag"), IsOkAndHolds(std::nullopt));
  EXPECT_THAT(BytesValue(With("0"), "flag"), IsOkAndHolds(0));
  EXPECT_THAT(BytesValue(With("9223372036854775807"), "flag"),
              IsOkAndHolds(9223372036854775807));
  EXPECT_THAT(BytesValue(With("10B"), "flag"), IsOkAndHolds(10));
  EXPECT_THAT(BytesValue(With("2 KiB"), "flag"), IsOkAndHolds(2048));
  EXPECT_THAT(BytesValue(With("1.5GiB"), "flag"), IsOkAndHolds(1610612736));
  EXPECT_THAT(BytesValue(With("100mb"), "flag"), IsOkAndHolds(100'000'000));
  for (const char* text : {"-1", "-1KB", "9223372036854775808", "1e30 TiB",
                           "nanB", "1.5", "x", "KiB", "4 XiB", ""}) {
    ExpectUsageError(BytesValue(With(text), "flag"),
                     "--flag takes bytes, or a size such as 100MB or 1.5GiB");
  }
}

TEST(ValuesTest, Durations) {
  const absl::Duration otherwise = absl::Hours(1);
  EXPECT_THAT(DurationValue(kWithout, "flag", otherwise),
              IsOkAndHolds(otherwise));
  EXPECT_THAT(DurationValue(With("30"), "flag", otherwise),
              IsOkAndHolds(absl::Seconds(30)));
  EXPECT_THAT(DurationValue(With("1.5s"), "flag", otherwise),
              IsOkAndHolds(absl::Milliseconds(1500)));
  EXPECT_THAT(DurationValue(With("2m"), "flag", otherwise),
              IsOkAndHolds(absl::Minutes(2)));
  for (const char* text : {"0", "-1s", "soon", ""}) {
    ExpectUsageError(DurationValue(With(text), "flag", otherwise),
                     "--flag takes ");
  }
}

TEST(ValuesTest, PairsAreDividedAtTheFirstEquals) {
  EXPECT_THAT(ParsePair("--rename", "OLD=NEW", "a=b=c"),
              IsOkAndHolds(Pair("a", "b=c")));
  EXPECT_THAT(ParsePair("--rename", "OLD=NEW", "a="),
              IsOkAndHolds(Pair("a", "")));
  ExpectUsageError(ParsePair("--rename", "OLD=NEW", "ab"),
                   "--rename takes OLD=NEW; not \"ab\"");
  ExpectUsageError(ParsePair("--rename", "OLD=NEW", "=b"),
                   "--rename takes OLD=NEW; not \"=b\"");
}

TEST(ValuesTest, LabelsHaveEachKeyOnce) {
  EXPECT_THAT(ParseLabels("--label", {"b=2", "a=1"}),
              IsOkAndHolds(ElementsAre(Pair("a", "1"), Pair("b", "2"))));
  ExpectUsageError(ParseLabels("--label", {"a=1", "a=2"}),
                   "--label gives \"a\" twice");
}

TEST(UsageErrorTest, IsToldFromTheServersErrors) {
  EXPECT_TRUE(IsUsageError(UsageError("x")));
  EXPECT_THAT(UsageError("x"),
              StatusIs(absl::StatusCode::kInvalidArgument, "x"));
  EXPECT_FALSE(IsUsageError(absl::InvalidArgumentError("x")));
  EXPECT_FALSE(IsUsageError(absl::OkStatus()));
}

}  // namespace
}  // namespace warmstart::client
