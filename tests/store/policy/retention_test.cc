#include "server/store/policy/retention.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::store {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using ::warmstart::testing::StatusIs;

TEST(RetentionRuleTest, ConditionsAndNumberAreRead) {
  ASSERT_OK_AND_ASSIGN(const RetentionRule rule,
                       RetentionRule::Parse("stage=dev,experiment,run=:12"));
  EXPECT_THAT(rule.labels,
              UnorderedElementsAre(Pair("stage", "dev"), Pair("run", "")));
  EXPECT_EQ(rule.key, "experiment");
  EXPECT_EQ(rule.keep, 12);
}

TEST(RetentionRuleTest, AValueMayHaveColonsAndEqualsSigns) {
  ASSERT_OK_AND_ASSIGN(const RetentionRule rule,
                       RetentionRule::Parse("image=host:80/a=b:3"));
  EXPECT_THAT(rule.labels, UnorderedElementsAre(Pair("image", "host:80/a=b")));
  EXPECT_THAT(rule.key, IsEmpty());
  EXPECT_EQ(rule.keep, 3);
}

TEST(RetentionRuleTest, ItsTextReadsTheSame) {
  for (const char* text :
       {"experiment:5", "a=1,b=2:10000", "run=x,experiment:1"}) {
    ASSERT_OK_AND_ASSIGN(const RetentionRule rule, RetentionRule::Parse(text));
    EXPECT_EQ(rule.ToString(), text);
  }
}

TEST(RetentionRuleTest, WhatCannotBeReadIsRefused) {
  const struct {
    const char* text;
    const char* problem;
  } cases[] = {
      {"", "SELECTOR:N"},
      {"experiment", "SELECTOR:N"},
      {":5", "SELECTOR:N"},
      {"experiment:", "SELECTOR:N"},
      {"experiment:0", "from 1 to 10000"},
      {"experiment:10001", "from 1 to 10000"},
      {"experiment:-1", "from 1 to 10000"},
      {"experiment:5x", "SELECTOR:N"},
      {"=dev:5", "no KEY"},
      {"a=1,,b=2:5", "no KEY"},
      {"a=1,a=2:5", "two conditions on 'a'"},
      {"a,a:5", "two conditions on 'a'"},
      {"a,b:5", "one KEY alone"},
  };
  for (const auto& [text, problem] : cases) {
    EXPECT_THAT(
        RetentionRule::Parse(text),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(problem)))
        << text;
  }
}

TEST(ExpireTimeTest, ADurationCountsFromNow) {
  const absl::Time now = absl::FromUnixSeconds(1000);
  EXPECT_EQ(ExpireTime({}, now), std::nullopt);
  EXPECT_EQ(ExpireTime(absl::FromUnixSeconds(5), now),
            absl::FromUnixSeconds(5));
  EXPECT_EQ(ExpireTime(absl::Seconds(5), now), absl::FromUnixSeconds(1005));
}

}  // namespace
}  // namespace warmstart::store
