#include "server/planner/rules/key_mapper.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::planner {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

NamedTensor Named(absl::string_view key) {
  return {std::string(key), SourceTensor(0, 0, TensorSpec())};
}

absl::StatusOr<KeyMapper> Compile(const std::vector<KeyRule>& rules) {
  return KeyMapper::Create(rules, 0, rules.size());
}

absl::StatusOr<NamedTensor> Mapped(const std::vector<KeyRule>& rules,
                                   absl::string_view key, int32_t source = 0) {
  ASSIGN_OR_RETURN(const KeyMapper mapper, Compile(rules));
  NamedTensor tensor = Named(key);
  RETURN_IF_ERROR(mapper.Map(source, &tensor));
  return tensor;
}

std::string Map(const std::vector<KeyRule>& rules, absl::string_view key) {
  const auto mapped = Mapped(rules, key);
  return mapped.ok() ? mapped->key : mapped.status().ToString();
}

TEST(KeyMapperTest, RenameTakesTheWholeKeyOnly) {
  const std::vector<KeyRule> rules = {RenameRule{"fc", "head"}};
  EXPECT_EQ(Map(rules, "fc"), "head");
  EXPECT_EQ(Map(rules, "fc.weight"), "fc.weight");
}

TEST(KeyMapperTest, RegexReplacesEveryMatchAsReSub) {
  EXPECT_EQ(Map({RegexRule{R"(layer(\d+)_(\d+))", R"(layer\1.\2)"}},
                "layer1_2.layer3_4"),
            "layer1.2.layer3.4");
  EXPECT_EQ(Map({RegexRule{"^module\\.", ""}}, "module.a.module.b"),
            "a.module.b");
}

TEST(KeyMapperTest, PrefixesAreStrippedOnceAndAdded) {
  EXPECT_EQ(Map({StripPrefixRule{"m."}}, "m.m.w"), "m.w");
  EXPECT_EQ(Map({StripPrefixRule{"m."}}, "w"), "w");
  EXPECT_EQ(Map({AddPrefixRule{"m."}}, "w"), "m.w");
}

TEST(KeyMapperTest, StripAfterAddIsTheIdentity) {
  EXPECT_EQ(Map({AddPrefixRule{"m."}, StripPrefixRule{"m."}}, "m.w"), "m.w");
}

TEST(KeyMapperTest, RulesApplyInOrderToEachOthersResults) {
  const std::vector<KeyRule> rules = {
      StripPrefixRule{"module."}, RegexRule{"^conv", "stem.conv"},
      RenameRule{"stem.conv1.weight", "first.weight"}};
  ASSERT_OK_AND_ASSIGN(const NamedTensor mapped,
                       Mapped(rules, "module.conv1.weight"));
  EXPECT_EQ(mapped.key, "first.weight");
  EXPECT_THAT(mapped.rules, ElementsAre(0, 1, 2));
  ASSERT_OK_AND_ASSIGN(const NamedTensor other, Mapped(rules, "fc.weight"));
  EXPECT_THAT(other.rules, ElementsAre());
}

TEST(KeyMapperTest, ARuleSeesWhatTheOnesBeforeItLeftAndNoMore) {
  EXPECT_EQ(Map({RenameRule{"a", "b"}, RenameRule{"b", "c"}}, "a"), "c");
  EXPECT_EQ(Map({RenameRule{"b", "c"}, RenameRule{"a", "b"}}, "a"), "b");
  EXPECT_EQ(Map({AddPrefixRule{"m."}, RenameRule{"a", "b"},
                 RenameRule{"m.a", "m.b"}, AddPrefixRule{"n."}},
                "a"),
            "n.m.b");
}

TEST(KeyMapperTest, RulesAreForTheirSourceAlone) {
  KeyRule rule = RenameRule{"a", "b"};
  rule.source = 1;
  EXPECT_EQ(Mapped({rule}, "a", 0)->key, "a");
  EXPECT_EQ(Mapped({rule}, "a", 1)->key, "b");
}

TEST(KeyMapperTest, RulesAreForTheirKeysAloneAsTheRulesBeforeLeftThem) {
  KeyRule rule = AddPrefixRule{"x."};
  rule.keys = {"head.*", "fc"};
  EXPECT_EQ(Map({rule}, "head.w"), "x.head.w");
  EXPECT_EQ(Map({rule}, "fc"), "x.fc");
  EXPECT_EQ(Map({rule}, "body.w"), "body.w");
  EXPECT_EQ(Map({RenameRule{"w", "head.w"}, rule}, "w"), "x.head.w");
}

TEST(KeyMapperTest, PriorityIsTheHighestOfTheRulesThatApplied) {
  KeyRule low = RenameRule{"a", "b"};
  low.priority = -1;
  KeyRule high = RenameRule{"b", "c"};
  high.priority = 7;
  EXPECT_EQ(Mapped({low, high}, "a")->priority, 7);
  EXPECT_EQ(Mapped({high, low}, "a")->priority, -1);
  EXPECT_EQ(Mapped({low, high}, "x")->priority, 0);
}

TEST(KeyMapperTest, RulesThatCannotBeUsedAreRefusedWithTheirField) {
  const std::pair<KeyRule, const char*> cases[] = {
      {RenameRule{"", "b"}, "key_rules[0].rename.from"},
      {RenameRule{"a", ""}, "key_rules[0].rename.to"},
      {RenameRule{"a", "\xFF"}, "not UTF-8"},
      {RegexRule{"(", "b"}, "key_rules[0].regex.pattern"},
      {RegexRule{"a(?=b)", ""}, "regular expression"},
      {RegexRule{"(a)", "\\2"}, "key_rules[0].regex.replacement"},
      {RegexRule{"", "b"}, "must not be empty"},
      {StripPrefixRule{""}, "key_rules[0].strip_prefix"},
      {AddPrefixRule{std::string(2000, 'a')}, "longer than"},
  };
  for (const auto& [rule, problem] : cases) {
    const std::vector<KeyRule> rules = {rule};
    const absl::Status status = Compile(rules).status();
    EXPECT_THAT(status, StatusIs(kInvalid, HasSubstr(problem)));
    EXPECT_EQ(GetErrorInfo(status)->reason, reason::kInvalidRule);
  }
}

TEST(KeyMapperTest, RulesThatDoubleAKeyAreStopped) {
  const std::vector<KeyRule> rules(60, RegexRule{".*(.)$", "\\0\\0"});
  EXPECT_THAT(Mapped(rules, "abcdefgh"),
              StatusIs(kInvalid,
                       AllOf(HasSubstr("too long"), HasSubstr("'abcdefgh'"))));
}

// Too many states for an automaton of them all: then each is tried.
TEST(KeyMapperTest, PatternsThatAreTooMuchTogetherStillApply) {
  std::vector<KeyRule> rules;
  for (int i = 0; i < 40; ++i) {
    rules.push_back(RegexRule{absl::StrCat("x[ab]{", 400 + i, "}y"), "z"});
  }
  rules.push_back(RegexRule{"b$", "c"});
  std::string key = "x";
  std::mt19937 random(1);
  while (key.size() < 5000) key += "abx"[random() % 3];
  key += 'b';
  std::string expected = key;
  expected.back() = 'c';
  EXPECT_EQ(Map(rules, key), expected);
}

TEST(KeyMapperTest, NothingMayBeLeftOfAKey) {
  EXPECT_THAT(Map({RegexRule{".*", ""}}, "abc"), HasSubstr("leaves nothing"));
}

}  // namespace
}  // namespace warmstart::planner
