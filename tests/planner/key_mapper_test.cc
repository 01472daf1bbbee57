#include "server/planner/key_mapper.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::planner {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string Map(const std::vector<KeyRule>& rules, absl::string_view key) {
  const auto mapper = KeyMapper::Create(rules);
  if (!mapper.ok()) return mapper.status().ToString();
  const auto mapped = mapper->Map(key);
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
  ASSERT_OK_AND_ASSIGN(const KeyMapper mapper, KeyMapper::Create(rules));
  ASSERT_OK_AND_ASSIGN(const MappedKey mapped,
                       mapper.Map("module.conv1.weight"));
  EXPECT_EQ(mapped.key, "first.weight");
  EXPECT_THAT(mapped.rules, ElementsAre(0, 1, 2));
  ASSERT_OK_AND_ASSIGN(const MappedKey other, mapper.Map("fc.weight"));
  EXPECT_THAT(other.rules, ElementsAre());
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
    EXPECT_THAT(KeyMapper::Create(rules),
                StatusIs(kInvalid, HasSubstr(problem)));
  }
}

TEST(KeyMapperTest, RulesThatDoubleAKeyAreStopped) {
  const std::vector<KeyRule> rules(60, RegexRule{".*(.)$", "\\0\\0"});
  ASSERT_OK_AND_ASSIGN(const KeyMapper mapper, KeyMapper::Create(rules));
  EXPECT_THAT(mapper.Map("abcdefgh"),
              StatusIs(kInvalid,
                       AllOf(HasSubstr("too long"), HasSubstr("'abcdefgh'"))));
}

TEST(KeyMapperTest, NothingMayBeLeftOfAKey) {
  EXPECT_THAT(Map({RegexRule{".*", ""}}, "abc"), HasSubstr("leaves nothing"));
}

}  // namespace
}  // namespace warmstart::planner
