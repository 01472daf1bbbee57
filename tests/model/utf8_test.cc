#include "server/model/utf8.h"

#include <string>

#include "gtest/gtest.h"

namespace warmstart {
namespace {

TEST(Utf8Test, AcceptsTheEdgesOfEveryRange) {
  for (const char* text : {"", "a\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80",
                           "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF",
                           "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
}

TEST(Utf8Test, RefusesOverlongFormsSurrogatesAndWhatIsCutShort) {
  for (const char* text :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF",
        "\xC2", "\xE2\x82", "\xF0\x9F\x98", "\xC2\x41", "a\xE2\x28\xA1"}) {
    EXPECT_FALSE(IsUtf8(text));
  }
}

TEST(Utf8Test, NulIsACharacter) {
  EXPECT_TRUE(IsUtf8(absl::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace warmstart
