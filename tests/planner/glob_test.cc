#include "server/planner/glob.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::planner {
namespace {

using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

bool Match(const std::string& glob, absl::string_view key) {
  return GlobSet::Create("include", {glob}).value().Matches(key);
}

// The results are those of fnmatch.fnmatchcase(key, glob).
TEST(GlobTest, MatchesAsFnmatchDoes) {
  EXPECT_TRUE(Match("fc*", "fc1.weight"));
  EXPECT_TRUE(Match("*", ""));
  EXPECT_TRUE(Match("*.weight", "a.b.weight"));
  EXPECT_FALSE(Match("*.weight", "a.weight_g"));
  EXPECT_FALSE(Match("fc", "fc1"));
  EXPECT_TRUE(Match("fc?.bias", "fc1.bias"));
  EXPECT_FALSE(Match("fc?.bias", "fc10.bias"));
  EXPECT_TRUE(Match("fc[12].bias", "fc2.bias"));
  EXPECT_FALSE(Match("fc[!12].bias", "fc2.bias"));
  EXPECT_TRUE(Match("fc[0-9]", "fc7"));
  EXPECT_TRUE(Match("[]]", "]"));
  EXPECT_TRUE(Match("a[", "a["));
  EXPECT_TRUE(Match("a.b", "a.b"));
  EXPECT_FALSE(Match("a.b", "axb"));
  EXPECT_TRUE(Match("(a|b)+", "(a|b)+"));
  EXPECT_TRUE(Match("*\n*", "a\nb"));
  EXPECT_TRUE(Match("?", "\xC3\xA9"));  // one character, two bytes
}

TEST(GlobTest, ManyStarsTakeLinearTime) {
  EXPECT_FALSE(Match("*a*a*a*a*a*a*a*a*a*a*a*a*b", std::string(5000, 'a')));
}

TEST(GlobTest, AnEmptySetMatchesNothing) {
  EXPECT_FALSE(GlobSet::Create("include", {}).value().Matches("a"));
}

TEST(GlobTest, ARangeThatIsBackwardsIsRefusedWithItsField) {
  EXPECT_THAT(
      GlobSet::Create("exclude", {"ok", "[z-a]"}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("exclude[1]")));
}

}  // namespace
}  // namespace warmstart::planner
