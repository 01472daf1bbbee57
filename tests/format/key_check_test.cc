#include "server/format/key_check.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

TEST(KeyCheckTest, KeysThatModelsHaveAreFine) {
  for (absl::string_view key :
       {"weight", "layer.0.weight", "model/encoder/w:0", "a b", "a..b",
        "été.重み", "a/...", "weight.."}) {
    EXPECT_OK(CheckKey(key)) << key;
  }
}

TEST(KeyCheckTest, EmptyKeyIsRefused) {
  EXPECT_THAT(CheckKey(""), StatusIs(kInvalid, "a key is empty"));
}

TEST(KeyCheckTest, BrokenUtf8IsRefused) {
  for (absl::string_view key : {"\xFF", "a\xC0\xAF", "\xED\xA0\x80", "a\xE2"}) {
    EXPECT_THAT(CheckKey(key), StatusIs(kInvalid, HasSubstr("UTF-8")));
  }
}

TEST(KeyCheckTest, ControlCharactersAreRefused) {
  for (absl::string_view key :
       {absl::string_view("a\0b", 3), absl::string_view("a\nb"),
        absl::string_view("\x1b[31mred"), absl::string_view("a\x7f"),
        absl::string_view("a\xC2\x9Bm")}) {
    EXPECT_THAT(CheckKey(key),
                StatusIs(kInvalid, HasSubstr("has control characters")));
  }
}

TEST(KeyCheckTest, CharactersJustPastTheControlOnesAreFine) {
  EXPECT_OK(CheckKey(" a\x7e"));
  EXPECT_OK(CheckKey("a\xC2\xA0"));
}

TEST(KeyCheckTest, PathTricksAreRefused) {
  EXPECT_THAT(CheckKey("/etc/passwd"),
              StatusIs(kInvalid, HasSubstr("starts with '/'")));
  for (absl::string_view key : {"..", "../a", "a/../b", "a/.."}) {
    EXPECT_THAT(CheckKey(key),
                StatusIs(kInvalid, HasSubstr("'..' path component")));
  }
}

TEST(KeyCheckTest, MessageQuotesTheKeyEscapedAndCut) {
  EXPECT_THAT(CheckKey("a\x01'b"),
              StatusIs(kInvalid, HasSubstr("key 'a\\x01\\'b' has")));
  const std::string quoted = QuoteForMessage(std::string(1000, 'k'));
  EXPECT_LT(quoted.size(), 200u);
  EXPECT_THAT(quoted, HasSubstr("... (1000 bytes)"));
}

}  // namespace
}  // namespace warmstart::format
