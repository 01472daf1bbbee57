#include "server/format/strict_json.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

// "kind depth text" for each event.
absl::Status Record(absl::string_view json, int max_depth,
                    std::vector<std::string>* events) {
  return ParseStrictJson(json, max_depth, [events](const JsonEvent& event) {
    constexpr absl::string_view kNames[] = {
        "{", "}", "[", "]", "key", "string", "unsigned", "other"};
    events->push_back(absl::StrCat(kNames[static_cast<int>(event.kind)], " ",
                                   event.depth, " ", event.text));
    return absl::OkStatus();
  });
}

absl::Status Parse(absl::string_view json, int max_depth = 10) {
  std::vector<std::string> events;
  return Record(json, max_depth, &events);
}

TEST(StrictJsonTest, EventsComeInOrderWithTheirDepth) {
  std::vector<std::string> events;
  ASSERT_OK(Record(R"({"a": [1, -2, 1.5, true, null], "b": {"c": "d\n"}})", 3,
                   &events));
  EXPECT_THAT(events, ElementsAre("{ 0 ", "key 1 a", "[ 1 ", "unsigned 2 1",
                                  "other 2 -2", "other 2 1.5", "other 2 true",
                                  "other 2 null", "] 1 ", "key 1 b", "{ 1 ",
                                  "key 2 c", "string 2 d\n", "} 1 ", "} 0 "));
}

TEST(StrictJsonTest, NumbersKeepAll64Bits) {
  uint64_t seen = 0;
  ASSERT_OK(ParseStrictJson("18446744073709551615", 1,
                            [&seen](const JsonEvent& event) {
                              seen = event.number;
                              return absl::OkStatus();
                            }));
  EXPECT_EQ(seen, 18446744073709551615u);
}

TEST(StrictJsonTest, DuplicateKeyIsRefusedAtAnyDepth) {
  EXPECT_THAT(Parse(R"({"a": 1, "a": 2})"),
              StatusIs(kInvalid, HasSubstr("key 'a' is there twice")));
  EXPECT_THAT(Parse(R"({"x": [{"b": 1, "\u0062": 2}]})"),
              StatusIs(kInvalid, HasSubstr("key 'b' is there twice")));
  EXPECT_OK(Parse(R"([{"a": 1}, {"a": {"a": 2}}])"));
}

TEST(StrictJsonTest, NestingIsBounded) {
  EXPECT_OK(Parse("[[[]]]", 3));
  EXPECT_THAT(Parse("[[[[]]]]", 3),
              StatusIs(kInvalid, HasSubstr("nested deeper than 3 levels")));
  EXPECT_THAT(Parse(std::string(1 << 20, '['), 100),
              StatusIs(kInvalid, HasSubstr("nested deeper")));
}

TEST(StrictJsonTest, SyntaxErrorNamesTheByteAndQuotesNothing) {
  EXPECT_THAT(Parse(R"({"a" 1})"),
              StatusIs(kInvalid, "JSON: syntax error at byte 6"));
  const absl::Status status = Parse(absl::StrCat("\"", std::string(5000, 'x')));
  EXPECT_THAT(status, StatusIs(kInvalid, HasSubstr("syntax error")));
  EXPECT_LT(status.message().size(), 100u);
}

TEST(StrictJsonTest, WhatIsNoJsonIsRefused) {
  for (absl::string_view json :
       {"", "{", "{}x", "{'a': 1}", "[1,]", "nan", "01", "\"\\ud800\"",
        "{} // comment", "1e999"}) {
    EXPECT_THAT(Parse(json), StatusIs(kInvalid, HasSubstr("syntax error")))
        << json;
  }
}

TEST(StrictJsonTest, FirstErrorOfTheSinkEndsIt) {
  int events = 0;
  const absl::Status status =
      ParseStrictJson("[1, 2, 3]", 1, [&events](const JsonEvent& event) {
        ++events;
        return event.text == "2" ? absl::CancelledError("enough")
                                 : absl::OkStatus();
      });
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kCancelled, "enough"));
  EXPECT_EQ(events, 3);
}

}  // namespace
}  // namespace warmstart::format
