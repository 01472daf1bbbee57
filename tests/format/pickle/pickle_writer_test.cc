#include "server/format/pickle/pickle_writer.h"

#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace warmstart::format {
namespace {

// What `write` adds between the PROTO and the STOP opcode.
template <typename Write>
std::string Written(Write write) {
  PickleWriter writer;
  write(writer);
  const std::string bytes = std::move(writer).Finish();
  EXPECT_EQ(bytes.substr(0, 2), "\x80\x02");
  EXPECT_EQ(bytes.back(), '.');
  return bytes.substr(2, bytes.size() - 3);
}

std::string Int(int64_t value) {
  return Written([value](PickleWriter& writer) { writer.Int(value); });
}

TEST(PickleWriterTest, IntsTakeTheShortestOpcode) {
  EXPECT_EQ(Int(0), std::string("K\0", 2));
  EXPECT_EQ(Int(255), "K\xff");
  EXPECT_EQ(Int(256), std::string("M\0\x01", 3));
  EXPECT_EQ(Int(65535), "M\xff\xff");
  EXPECT_EQ(Int(65536), std::string("J\0\0\x01\0", 5));
  EXPECT_EQ(Int(-1), "J\xff\xff\xff\xff");
  EXPECT_EQ(Int(std::numeric_limits<int32_t>::max()), "J\xff\xff\xff\x7f");
  EXPECT_EQ(Int(std::numeric_limits<int32_t>::min()),
            std::string("J\0\0\0\x80", 5));
}

// As pickle.encode_long gives them.
TEST(PickleWriterTest, LongIntsAreMinimalTwosComplement) {
  EXPECT_EQ(Int(int64_t{1} << 31), std::string("\x8a\x05\0\0\0\x80\0", 7));
  EXPECT_EQ(Int((int64_t{1} << 39) - 1), "\x8a\x05\xff\xff\xff\xff\x7f");
  EXPECT_EQ(Int(int64_t{1} << 39), std::string("\x8a\x06\0\0\0\0\x80\0", 8));
  EXPECT_EQ(Int(-(int64_t{1} << 31) - 1), "\x8a\x05\xff\xff\xff\x7f\xff");
  EXPECT_EQ(Int(-(int64_t{1} << 39)), std::string("\x8a\x05\0\0\0\0\x80", 7));
  EXPECT_EQ(Int(std::numeric_limits<int64_t>::max()),
            "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f");
  EXPECT_EQ(Int(std::numeric_limits<int64_t>::min()),
            std::string("\x8a\x08\0\0\0\0\0\0\0\x80", 10));
}

TEST(PickleWriterTest, StringsAreNewObjectsAndConstantsAreNot) {
  EXPECT_EQ(Written([](PickleWriter& writer) {
              writer.String("ab");
              writer.String("ab");
              writer.Constant("ab");
              writer.Constant("ab");
            }),
            std::string("X\2\0\0\0abq\0X\2\0\0\0abq\1X\2\0\0\0abq\2h\2", 29));
}

TEST(PickleWriterTest, GlobalsAreWrittenOnce) {
  EXPECT_EQ(Written([](PickleWriter& writer) {
              writer.Global("torch", "FloatStorage");
              writer.Global("torch", "LongStorage");
              writer.Global("torch", "FloatStorage");
            }),
            std::string("ctorch\nFloatStorage\nq\0"
                        "ctorch\nLongStorage\nq\1"
                        "h\0",
                        45));
}

TEST(PickleWriterTest, TuplesOfEveryLength) {
  EXPECT_EQ(Written([](PickleWriter& writer) {
              writer.EmptyTuple();
              writer.False();
              writer.TupleOfLast(1);
              writer.TupleOfLast(2);
              writer.TupleOfLast(3);
              writer.Mark();
              writer.TupleSinceMark();
            }),
            std::string(")\x89\x85q\0\x86q\1\x87q\2(tq\3", 15));
}

TEST(PickleWriterTest, MemoIndicesPastAByteAreLong) {
  const std::string bytes = Written([](PickleWriter& writer) {
    for (int i = 0; i < 256; ++i) writer.EmptyDict();
    writer.EmptyDict();
    writer.Get(255);
    writer.Get(256);
  });
  EXPECT_EQ(bytes.substr(255 * 3),
            std::string("}q\xff}r\0\1\0\0h\xffj\0\1\0\0", 16));
}

}  // namespace
}  // namespace warmstart::format
