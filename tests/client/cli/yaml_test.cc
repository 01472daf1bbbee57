#include "client/cli/yaml.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

void ExpectJson(const std::string& yaml, const std::string& expected) {
  ASSERT_OK_AND_ASSIGN(const std::string json, YamlToJson(yaml));
  EXPECT_EQ(json, expected);
}

TEST(YamlTest, CollectionsKeepTheirOrder) {
  ExpectJson("b: [1, two]\na:\n  - c: {}\n",
             R"({"b":[1,"two"],"a":[{"c":{}}]})");
}

TEST(YamlTest, PlainScalarsAreWhatTheCoreSchemaSays) {
  ExpectJson("[null, ~, true, False, 3, -7, 0.5, 1e-3, 1.2.3, no, module.]",
             R"([null,null,true,false,3,-7,0.5,0.001,"1.2.3","no","module."])");
}

TEST(YamlTest, QuotedScalarsAreText) {
  ExpectJson(R"(["1", 'true', "null", ""])", R"(["1","true","null",""])");
}

TEST(YamlTest, RegularExpressionsNeedNoEscapesInSingleQuotes) {
  ExpectJson(R"(pattern: '^h\.(\d+)\.')", R"({"pattern":"^h\\.(\\d+)\\."})");
}

TEST(YamlTest, ErrorsTellTheLine) {
  EXPECT_THAT(YamlToJson("a: 1\nb: [2\n"),
              StatusIs(kInvalid, HasSubstr("line ")));
  EXPECT_THAT(YamlToJson("? [a]\n: 1\n"),
              StatusIs(kInvalid, HasSubstr("a key is no text")));
}

TEST(YamlTest, AliasesCannotGrowWithoutEnd) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) bomb += last + ", ";
    bomb += "x]\n";
  }
  EXPECT_THAT(YamlToJson(bomb),
              StatusIs(kInvalid, HasSubstr("too many values")));
}

}  // namespace
}  // namespace warmstart::client
