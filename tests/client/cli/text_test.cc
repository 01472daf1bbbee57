#include "client/cli/text.h"

#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace warmstart::client {
namespace {

TEST(TextTest, ColorsAreEscapeCodesWhereTheyAreEnabled) {
  EXPECT_EQ(Paint(Color::kRed, "no", true), "\x1b[31mno\x1b[0m");
  EXPECT_EQ(Paint(Color::kRed, "no", false), "no");
  EXPECT_EQ(Paint(Color::kPlain, "no", true), "no");
}

TEST(TextTest, ControlCharactersAreWrittenOut) {
  EXPECT_EQ(Printable("a\x1b[2Jb"), "a\\x1b[2Jb");
  EXPECT_EQ(Printable("a\nb\tc\rd\x7f"), "a\\x0ab\\x09c\\x0dd\\x7f");
  EXPECT_EQ(Printable("\xc2\x9b"
                      "2J"),
            "\\x9b2J");  // CSI as one character
  EXPECT_EQ(PrintableLines("a\nb\tc\x1b"), "a\nb\tc\\x1b");
}

TEST(TextTest, OtherUnicodeStays) {
  EXPECT_EQ(Printable("gewicht.größe.重み"), "gewicht.größe.重み");
}

TEST(TextTest, WidthIsOfCharacters) {
  EXPECT_EQ(DisplayWidth("größe"), 5);
  EXPECT_EQ(DisplayWidth(""), 0);
}

TEST(TextTest, Bytes) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1024), "1.0 KiB");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes((1 << 20) - 1), "1.0 MiB");
  EXPECT_EQ(FormatBytes(int64_t{5} << 30), "5.0 GiB");
  EXPECT_EQ(FormatBytes(std::numeric_limits<int64_t>::max()), "8192.0 PiB");
}

TEST(TextTest, CountsHaveSeparators) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1000), "1,000");
  EXPECT_EQ(FormatCount(1234567), "1,234,567");
  EXPECT_EQ(FormatCount(-123456), "-123,456");
  EXPECT_EQ(Plural(1, "key"), "1 key");
  EXPECT_EQ(Plural(0, "key"), "0 keys");
  EXPECT_EQ(Plural(1200, "key"), "1,200 keys");
}

TEST(TextTest, PercentIsNeverRoundedUpToAll) {
  EXPECT_EQ(FormatPercent(1), "100.0 %");
  EXPECT_EQ(FormatPercent(0.99999), "99.9 %");
  EXPECT_EQ(FormatPercent(0.986292), "98.6 %");
  EXPECT_EQ(FormatPercent(0), "0.0 %");
}

TEST(TextTest, Shapes) {
  google::protobuf::RepeatedField<int64_t> shape;
  EXPECT_EQ(FormatShape(shape), "[]");
  shape.Add(120);
  shape.Add(400);
  EXPECT_EQ(FormatShape(shape), "[120, 400]");
}

TEST(TextTest, TimesAreLocal) {
  google::protobuf::Timestamp time;
  time.set_seconds(1'000'000'000);
  setenv("TZ", "UTC", 1);
  EXPECT_EQ(FormatTime(time), "2001-09-09 01:46:40");
}

TEST(TextTest, LinesAreWrappedAtSpaces) {
  EXPECT_EQ(Wrap("one two three four", 2, 11), "  one two\n  three\n  four");
  EXPECT_EQ(Wrap("incomprehensibilities", 0, 5), "incomprehensibilities");
  EXPECT_EQ(Wrap("one\n\ntwo", 1, 80), " one\n\n two");
}

TEST(TextTest, LongTextIsFolded) {
  EXPECT_EQ(FoldLines("1\n2\n3\n", 3), "1\n2\n3\n");
  EXPECT_EQ(FoldLines("1\n2\n3\n4\n", 2),
            "1\n2\n... 2 more; --all shows them\n");
}

}  // namespace
}  // namespace warmstart::client
