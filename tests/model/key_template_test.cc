#include "server/model/key_template.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(KeyTemplateTest, FillsItsHoles) {
  ASSERT_OK_AND_ASSIGN(const KeyTemplate made,
                       KeyTemplate::Parse("{{x}}.h.{2*i+1}.{rest*}"));
  EXPECT_THAT(made.Render({{"i", 3}, {"rest", "mlp.w"}}),
              IsOkAndHolds(Optional(std::string("{x}.h.7.mlp.w"))));
  EXPECT_THAT(made.number_names(), ElementsAre("i"));
  EXPECT_THAT(made.text_names(), ElementsAre("rest"));
  EXPECT_FALSE(made.IsPlain());
  EXPECT_TRUE(KeyTemplate::Parse("a.{i}.{t*}")->IsPlain());
}

TEST(KeyTemplateTest, MakesNoKeyOfNegativeNumbers) {
  ASSERT_OK_AND_ASSIGN(const KeyTemplate made, KeyTemplate::Parse("h.{i-2}"));
  EXPECT_THAT(made.Render({{"i", 1}}), IsOkAndHolds(std::nullopt));
  EXPECT_THAT(made.Render({{"i", 2}}),
              IsOkAndHolds(Optional(std::string("h.0"))));
}

TEST(KeyTemplateTest, RefusesNumbersThatCannotBeComputed) {
  EXPECT_THAT(KeyTemplate::Parse("h.{1/i}")->Render({{"i", 0}}),
              StatusIs(kInvalid, HasSubstr("divides by 0")));
}

TEST(KeyTemplateTest, OtherTextIsRefusedWithASentence) {
  const std::pair<const char*, const char*> cases[] = {
      {"a{i", "not closed"},
      {"a}b", "closes nothing"},
      {"a{}", "{}"},
      {"a{i+}", "{i+}"},
      {"a{i}{j}", "{j}"},
      {"a{s*}{t*}", "{t*}"},
      {"{i}.{i*}", "a number and"},
      {"{2*}", "{2*}"}};
  for (const auto& [text, problem] : cases) {
    EXPECT_THAT(KeyTemplate::Parse(text),
                StatusIs(kInvalid, HasSubstr(problem)))
        << text;
  }
  std::string many;
  for (int i = 0; i < 17; ++i) many += "{i}.";
  EXPECT_THAT(KeyTemplate::Parse(many),
              StatusIs(kInvalid, HasSubstr("more than 16")));
}

TEST(KeyTemplateTest, TextWithoutHolesIsAKey) {
  ASSERT_OK_AND_ASSIGN(const KeyTemplate made, KeyTemplate::Parse("fc.weight"));
  EXPECT_THAT(made.Render({}),
              IsOkAndHolds(Optional(std::string("fc.weight"))));
  EXPECT_THAT(made.number_names(), IsEmpty());
}

}  // namespace
}  // namespace warmstart
