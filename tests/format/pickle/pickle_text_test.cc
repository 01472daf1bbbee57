#include "server/format/pickle/pickle_text.h"

#include <limits>

#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmstart::format {
namespace {

using ::testing::Eq;
using ::testing::Optional;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

absl::string_view Bytes(const char* data, size_t size) {
  return absl::string_view(data, size);
}

TEST(PickleTextTest, BytesOfSmallIntegersAreTwosComplement) {
  EXPECT_THAT(PythonIntFromBytes("").small, Optional(0));
  EXPECT_THAT(PythonIntFromBytes("\x7f").small, Optional(127));
  EXPECT_THAT(PythonIntFromBytes("\xff").small, Optional(-1));
  EXPECT_THAT(PythonIntFromBytes(Bytes("\xff\x00", 2)).small, Optional(255));
  EXPECT_THAT(PythonIntFromBytes("\xff\xff\xff\xff\xff\xff\xff\x7f").small,
              Optional(kMax));
  EXPECT_THAT(PythonIntFromBytes(Bytes("\0\0\0\0\0\0\0\x80", 8)).small,
              Optional(kMin));
}

TEST(PickleTextTest, LongerIntegersBecomeDecimalText) {
  EXPECT_EQ(PythonIntFromBytes(Bytes("\0\0\0\0\0\0\0\x80\0", 9)).decimal,
            "9223372036854775808");
  EXPECT_EQ(PythonIntFromBytes(Bytes("\0\0\0\0\0\0\0\0\x01", 9)).decimal,
            "18446744073709551616");
  EXPECT_EQ(PythonIntFromBytes(Bytes("\0\0\0\0\0\0\0\0\xff", 9)).decimal,
            "-18446744073709551616");
  // torch.save's magic number.
  EXPECT_EQ(
      PythonIntFromBytes("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19").decimal,
      "119547037146038801333356");
  // Digits in the middle that are zero.
  EXPECT_EQ(PythonIntFromText("1000000000000000000000000000000")->decimal,
            "1000000000000000000000000000000");
  EXPECT_EQ(PythonIntFromBytes(
                Bytes("\0\0\0\x40\xea\xed\x74\x46\xd0\x9c\x2c\x9f\x0c", 13))
                .decimal,
            "1000000000000000000000000000000");
}

TEST(PickleTextTest, AbsurdIntegersHaveNeitherForm) {
  const PythonInt bytes = PythonIntFromBytes(std::string(257, '\x01'));
  EXPECT_FALSE(bytes.small.has_value());
  EXPECT_EQ(bytes.decimal, "");
  const std::optional<PythonInt> text =
      PythonIntFromText(std::string(1000, '9'));
  ASSERT_TRUE(text.has_value());
  EXPECT_FALSE(text->small.has_value());
  EXPECT_EQ(text->decimal, "");
}

TEST(PickleTextTest, LargestIntegerIsConvertedWhole) {
  const PythonInt largest = PythonIntFromBytes(std::string(255, '\xff') + '\0');
  EXPECT_EQ(largest.decimal.size(), 615u);
  EXPECT_EQ(largest.decimal.substr(0, 9), "126238304");
}

TEST(PickleTextTest, DecimalTextIsRead) {
  EXPECT_THAT(PythonIntFromText("12L")->small, Optional(12));
  EXPECT_THAT(PythonIntFromText("-5")->small, Optional(-5));
  EXPECT_THAT(PythonIntFromText("+5")->small, Optional(5));
  for (absl::string_view bad :
       {"", "L", "-", "1x", " 1", "1 ", "--1", "0x10"}) {
    EXPECT_FALSE(PythonIntFromText(bad).has_value()) << bad;
  }
}

TEST(PickleTextTest, PythonStringsAreUnquoted) {
  EXPECT_THAT(UnquotePythonString("'abc'"), Optional(Eq("abc")));
  EXPECT_THAT(UnquotePythonString("\"it's\""), Optional(Eq("it's")));
  EXPECT_THAT(UnquotePythonString("'a\\n\\t\\\\\\'\\x41\\101\\0z'"),
              Optional(Eq(std::string("a\n\t\\'AA\0z", 9))));
  for (absl::string_view bad :
       {"", "'", "abc", "'abc", "'a\"", "'\\'", "'\\x4'", "'\\xzz'", "'\\q'"}) {
    EXPECT_FALSE(UnquotePythonString(bad).has_value()) << bad;
  }
}

TEST(PickleTextTest, RawUnicodeEscapesBecomeUtf8) {
  EXPECT_THAT(DecodeRawUnicodeEscape("a\\u00e9\\u4f60\\U0001f600"),
              Optional(Eq("aé你😀")));
  EXPECT_THAT(DecodeRawUnicodeEscape("\xe9"), Optional(Eq("é")));
  EXPECT_THAT(DecodeRawUnicodeEscape("\\n\\"), Optional(Eq("\\n\\")));
  for (absl::string_view bad : {"\\u12", "\\u12g4", "\\U00110000", "\\U1"}) {
    EXPECT_FALSE(DecodeRawUnicodeEscape(bad).has_value()) << bad;
  }
}

TEST(PickleTextTest, Latin1TextBecomesItsBytes) {
  EXPECT_THAT(EncodeLatin1("aé\u00ff"), Optional(Eq("a\xe9\xff")));
  for (absl::string_view bad : {"你", "\xc3", "\xc3z", "\xff", "\xc1\x80"}) {
    EXPECT_FALSE(EncodeLatin1(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace warmstart::format
