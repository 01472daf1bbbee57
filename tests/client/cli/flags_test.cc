#include "client/cli/flags.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::warmstart::testing::StatusIs;

constexpr Flag kFlags[] = {
    {.name = "from", .value = "HANDLE", .help = "", .repeated = true},
    {.name = "rename", .value = "OLD=NEW", .help = "", .repeated = true},
    {.name = "output", .value = "FILE", .help = "", .letter = 'o'},
    {.name = "policy", .value = "error|skip", .help = ""},
    {.name = "strict", .help = ""},
};

absl::StatusOr<Arguments> Parse(const std::vector<std::string>& args) {
  return ParseArguments(kFlags, args);
}

auto IsUsage(const std::string& message) {
  return StatusIs(absl::StatusCode::kInvalidArgument, message);
}

TEST(FlagsTest, ValuesAreWrittenInSeveralWays) {
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"--output", "a.pt"},
        {"--output=a.pt"},
        {"-o", "a.pt"},
        {"-oa.pt"}}) {
    ASSERT_OK_AND_ASSIGN(const Arguments arguments, Parse(args));
    EXPECT_THAT(arguments.Get("output"), Optional(std::string("a.pt")));
    EXPECT_THAT(arguments.positional(), IsEmpty());
  }
}

TEST(FlagsTest, FlagsAndArgumentsMayBeMixed) {
  ASSERT_OK_AND_ASSIGN(const Arguments arguments,
                       Parse({"a", "--strict", "b", "--from", "x", "-"}));
  EXPECT_THAT(arguments.positional(), ElementsAre("a", "b", "-"));
  EXPECT_TRUE(arguments.Has("strict"));
  EXPECT_THAT(arguments.All("from"), ElementsAre("x"));
  EXPECT_FALSE(arguments.Has("output"));
  EXPECT_EQ(arguments.Get("output"), std::nullopt);
}

TEST(FlagsTest, TwoDashesEndTheFlags) {
  ASSERT_OK_AND_ASSIGN(const Arguments arguments,
                       Parse({"--strict", "--", "--from", "-o"}));
  EXPECT_THAT(arguments.positional(), ElementsAre("--from", "-o"));
}

TEST(FlagsTest, OrderIsKeptAcrossFlags) {
  ASSERT_OK_AND_ASSIGN(
      const Arguments arguments,
      Parse({"--rename", "a=b", "--from", "x", "--rename", "c=d"}));
  std::vector<std::string> order;
  for (const FlagUse& use : arguments.uses()) order.push_back(use.value);
  EXPECT_THAT(order, ElementsAre("a=b", "x", "c=d"));
  EXPECT_THAT(arguments.All("rename"), ElementsAre("a=b", "c=d"));
}

TEST(FlagsTest, ValueMayContainEqualsAndBeginWithADash) {
  ASSERT_OK_AND_ASSIGN(const Arguments arguments,
                       Parse({"--rename=a=b=c", "--from", "-1"}));
  EXPECT_THAT(arguments.All("rename"), ElementsAre("a=b=c"));
  EXPECT_THAT(arguments.All("from"), ElementsAre("-1"));
}

TEST(FlagsTest, UnknownFlagSuggestsTheNearest) {
  EXPECT_THAT(Parse({"--strickt"}),
              IsUsage("unknown flag --strickt; did you mean --strict?"));
  EXPECT_THAT(Parse({"--renam=a=b"}),
              IsUsage("unknown flag --renam; did you mean --rename?"));
  EXPECT_THAT(Parse({"--zzzzzzzz"}), IsUsage("unknown flag --zzzzzzzz"));
  EXPECT_THAT(Parse({"-x"}), IsUsage("unknown flag -x"));
}

TEST(FlagsTest, MissingValueIsNotTakenFromTheNextFlag) {
  EXPECT_THAT(Parse({"--from"}), IsUsage("--from needs a value: HANDLE"));
  EXPECT_THAT(Parse({"--from", "--strict"}),
              IsUsage("--from needs a value: HANDLE"));
}

TEST(FlagsTest, SwitchTakesNoValue) {
  EXPECT_THAT(Parse({"--strict=yes"}), IsUsage("--strict takes no value"));
}

TEST(FlagsTest, OnlyRepeatableFlagsAreGivenTwice) {
  EXPECT_THAT(Parse({"-o", "a", "--output", "b"}),
              IsUsage("--output is given twice"));
  EXPECT_OK(Parse({"--from", "a", "--from", "b"}));
}

TEST(FlagsTest, ValueMustBeOneOfTheChoices) {
  EXPECT_OK(Parse({"--policy", "skip"}));
  EXPECT_THAT(Parse({"--policy", "skipp"}),
              IsUsage("--policy takes error, skip; not \"skipp\"; did you mean "
                      "skip?"));
  EXPECT_THAT(Parse({"--policy", "error|skip"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("takes error, skip")));
}

TEST(FlagsTest, FindFlagKnowsEveryWayOfWriting) {
  EXPECT_EQ(FindFlag(kFlags, "--output")->name, "output");
  EXPECT_EQ(FindFlag(kFlags, "--output=x")->name, "output");
  EXPECT_EQ(FindFlag(kFlags, "-ox")->name, "output");
  EXPECT_EQ(FindFlag(kFlags, "output"), nullptr);
  EXPECT_EQ(FindFlag(kFlags, "-"), nullptr);
  EXPECT_EQ(FindFlag(kFlags, "--out"), nullptr);
}

}  // namespace
}  // namespace warmstart::client
