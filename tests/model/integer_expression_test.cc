#include "server/model/integer_expression.h"

#include <limits>
#include <optional>
#include <random>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

absl::StatusOr<int64_t> Evaluate(absl::string_view text, int64_t i = 0,
                                 int64_t j = 0) {
  const auto parsed = IntegerExpression::Parse(text);
  if (!parsed.ok()) return parsed.status();
  return parsed->Evaluate(
      [&](const std::string& name) { return name == "i" ? i : j; });
}

TEST(IntegerExpressionTest, ComputesAsPythonDoes) {
  EXPECT_THAT(Evaluate("2*i + 1", 5), IsOkAndHolds(11));
  EXPECT_THAT(Evaluate("2 - 3 - 4"), IsOkAndHolds(-5));
  EXPECT_THAT(Evaluate("2 + 3 * 4"), IsOkAndHolds(14));
  EXPECT_THAT(Evaluate("(2 + 3) * 4"), IsOkAndHolds(20));
  EXPECT_THAT(Evaluate("-i % 4 * 2", 3), IsOkAndHolds(2));
  EXPECT_THAT(Evaluate("7 / 2"), IsOkAndHolds(3));
  EXPECT_THAT(Evaluate("-7 / 2"), IsOkAndHolds(-4));
  EXPECT_THAT(Evaluate("7 / -2"), IsOkAndHolds(-4));
  EXPECT_THAT(Evaluate("-7 % 3"), IsOkAndHolds(2));
  EXPECT_THAT(Evaluate("7 % -3"), IsOkAndHolds(-2));
  EXPECT_THAT(Evaluate("i*12 + j", 2, 3), IsOkAndHolds(27));
}

TEST(IntegerExpressionTest, OtherTextIsRefusedWithASentence) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "missing"},
      {"i+", "missing"},
      {"i j", "'j'"},
      {"(i", "')'"},
      {"i)", "')'"},
      {"2**i", "expected"},
      {"i/0", "divides by 0"},
      {"i%(1-1)", "divides by 0"},
      {"99999999999999999999", "64 bits"},
      {"1.5", "'.5'"},
      {"i?", "'?'"}};
  for (const auto& [text, problem] : cases) {
    EXPECT_THAT(IntegerExpression::Parse(text),
                StatusIs(kInvalid, HasSubstr(problem)))
        << text;
  }
  EXPECT_THAT(IntegerExpression::Parse(std::string(1000, '(')),
              StatusIs(kInvalid, HasSubstr("deeply")));
  EXPECT_THAT(IntegerExpression::Parse(std::string(1000, '-') + "1"),
              StatusIs(kInvalid, HasSubstr("deeply")));
}

TEST(IntegerExpressionTest, WhatCannotBeComputedIsRefused) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  for (const char* text : {"i + 1", "2 * i", "i * i", "-1 - i - 1"}) {
    EXPECT_THAT(Evaluate(text, kMax), StatusIs(kInvalid, HasSubstr("64 bits")));
  }
  EXPECT_THAT(Evaluate("-i", kMin), StatusIs(kInvalid, HasSubstr("64 bits")));
  EXPECT_THAT(Evaluate("i / j", kMin, -1),
              StatusIs(kInvalid, HasSubstr("64 bits")));
  EXPECT_THAT(Evaluate("i % j", kMin, -1), IsOkAndHolds(0));
  EXPECT_THAT(Evaluate("i / j", 1, 0),
              StatusIs(kInvalid, HasSubstr("divides by 0")));
  EXPECT_THAT(Evaluate("i % j", 1, 0),
              StatusIs(kInvalid, HasSubstr("divides by 0")));
}

TEST(IntegerExpressionTest, KnowsLines) {
  const auto line = [](absl::string_view text) {
    const auto line = IntegerExpression::Parse(text)->line();
    return line.has_value() ? absl::StrCat(line->coefficient, "*",
                                           line->variable, "+", line->constant)
                            : std::string("none");
  };
  EXPECT_EQ(line("i"), "1*i+0");
  EXPECT_EQ(line("2*(i - 3) + i"), "3*i+-6");
  EXPECT_EQ(line("5 - i"), "-1*i+5");
  EXPECT_EQ(line("i*2 - j + j"), "none");
  EXPECT_EQ(line("i/2"), "none");
  EXPECT_EQ(line("i%2"), "none");
  EXPECT_EQ(line("i*i"), "none");
  EXPECT_EQ(line("3"), "none");
  EXPECT_THAT(IntegerExpression::Parse("j + i*j")->variables(),
              ElementsAre("j", "i"));
}

// Makes an expression and its value by another way than the parser's: as a
// tree, in wider numbers.
struct Reference {
  std::string text;
  std::optional<__int128> value;  // none: a division by 0
};

Reference RandomExpression(std::mt19937& random, int depth, int64_t i) {
  switch (depth == 0 ? random() % 2 : random() % 4) {
    case 0:
      return {"i", i};
    case 1: {
      const int64_t number = random() % 7;
      return {absl::StrCat(number), number};
    }
    case 2: {
      Reference operand = RandomExpression(random, depth - 1, i);
      operand.text = absl::StrCat("-(", operand.text, ")");
      if (operand.value) operand.value = -*operand.value;
      return operand;
    }
    default: {
      const Reference a = RandomExpression(random, depth - 1, i);
      const Reference b = RandomExpression(random, depth - 1, i);
      const char operation = "+-*/%"[random() % 5];
      Reference result{
          absl::StrCat("(", a.text, ") ", std::string(1, operation), " (",
                       b.text, ")"),
          std::nullopt};
      if (!a.value || !b.value) return result;
      const __int128 x = *a.value;
      const __int128 y = *b.value;
      if (operation == '+') result.value = x + y;
      if (operation == '-') result.value = x - y;
      if (operation == '*') result.value = x * y;
      if (y == 0) return result;
      __int128 floor = x / y;
      while (floor * y > x && y > 0) --floor;
      while (floor * y < x && y < 0) --floor;
      if (operation == '/') result.value = floor;
      if (operation == '%') result.value = x - floor * y;
      return result;
    }
  }
}

TEST(IntegerExpressionTest, AgreesWithAReferenceOnThousands) {
  std::mt19937 random(7);
  int computed = 0;
  for (int round = 0; round < 5000; ++round) {
    const int64_t i = static_cast<int64_t>(random() % 41) - 20;
    const Reference reference = RandomExpression(random, 4, i);
    const absl::StatusOr<int64_t> value = Evaluate(reference.text, i);
    ASSERT_EQ(value.ok(), reference.value.has_value()) << reference.text;
    if (!value.ok()) continue;
    ++computed;
    EXPECT_EQ(*value, static_cast<int64_t>(*reference.value))
        << reference.text << " for i = " << i;
    // A line says the same.
    const auto line = IntegerExpression::Parse(reference.text)->line();
    if (line.has_value()) {
      EXPECT_EQ(*value, line->coefficient * i + line->constant);
    }
  }
  EXPECT_GT(computed, 3000);
}

}  // namespace
}  // namespace warmstart
