#include "server/format/pickle/plain_value.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/format/hand_made.h"
#include "tests/format/loaded_pickle.h"

namespace warmstart::format {
namespace {

using hand_made::Build;
using hand_made::Call;
using hand_made::Dict;
using hand_made::Global;
using hand_made::Int;
using hand_made::List;
using hand_made::Text;
using hand_made::Tuple;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::SizeIs;

std::optional<Json> Scalar(const std::string& value) {
  const LoadedPickle pickle(value);
  return PlainScalar(pickle.heap(), pickle.root());
}

std::optional<std::string> Key(const std::string& value) {
  const LoadedPickle pickle(value);
  return PlainKey(pickle.heap(), pickle.root());
}

// numpy.core.multiarray.scalar(numpy.dtype(code, ...), bytes)
std::string NumpyScalar(const std::string& code, const std::string& order,
                        const std::string& bytes) {
  const std::string dtype =
      Build(Call(Global("numpy", "dtype"), {Text(code), "\x89", "\x88"}),
            Tuple({Int(3), Text(order), "N", "N", "N", Int(-1), Int(-1)}));
  return Call(Global("numpy._core.multiarray", "scalar"), {dtype, bytes});
}

std::string Bytes(const std::string& bytes) {
  return "C" + hand_made::Number(bytes.size(), 1) + bytes;
}

TEST(PlainValueTest, ScalarsAreThemselves) {
  EXPECT_THAT(Scalar("N"), Optional(Eq(Json(nullptr))));
  EXPECT_THAT(Scalar("\x88"), Optional(Eq(Json(true))));
  EXPECT_THAT(Scalar(Int(-5)), Optional(Eq(Json(-5))));
  EXPECT_THAT(Scalar("F0.5\n"), Optional(Eq(Json(0.5))));
  EXPECT_THAT(Scalar(Text("é")), Optional(Eq(Json("é"))));
  EXPECT_THAT(Scalar(Bytes("abc")), Optional(Eq(Json("abc"))));
  EXPECT_EQ(Scalar(Bytes("\xff")), std::nullopt);
  EXPECT_EQ(Scalar(List({})), std::nullopt);
  EXPECT_EQ(Scalar(Global("torch", "nn")), std::nullopt);
  EXPECT_EQ(Scalar(Call(Global("os", "system"), {Text("ls")})), std::nullopt);
}

TEST(PlainValueTest, NumbersThatJsonLacksAreText) {
  EXPECT_THAT(Scalar(Int(int64_t{1} << 53)),
              Optional(Eq(Json(9007199254740992))));
  EXPECT_THAT(Scalar(Int((int64_t{1} << 53) + 1)),
              Optional(Eq(Json("9007199254740993"))));
  EXPECT_THAT(Scalar("L-99999999999999999999L\n"),
              Optional(Eq(Json("-99999999999999999999"))));
  EXPECT_EQ(Scalar("L" + std::string(2000, '9') + "\n"), std::nullopt);
  EXPECT_THAT(Scalar("Fnan\n"), Optional(Eq(Json("NaN"))));
  EXPECT_THAT(Scalar("Finf\n"), Optional(Eq(Json("Infinity"))));
  EXPECT_THAT(Scalar("F-inf\n"), Optional(Eq(Json("-Infinity"))));
}

TEST(PlainValueTest, TorchValuesPrintAsInPyTorch) {
  EXPECT_THAT(Scalar(Global("torch", "float16")),
              Optional(Eq(Json("torch.float16"))));
  EXPECT_THAT(Scalar(Call(Global("torch", "device"), {Text("cpu")})),
              Optional(Eq(Json("cpu"))));
  EXPECT_THAT(Scalar(Call(Global("torch", "device"), {Text("cuda"), Int(1)})),
              Optional(Eq(Json("cuda:1"))));
}

TEST(PlainValueTest, NumpyScalarsAreNumbers) {
  EXPECT_THAT(Scalar(NumpyScalar("i4", "<", Bytes("\xff\xff\xff\xff"))),
              Optional(Eq(Json(-1))));
  EXPECT_THAT(Scalar(NumpyScalar("i2", ">", Bytes("\x01\x02"))),
              Optional(Eq(Json(0x0102))));
  EXPECT_THAT(Scalar(NumpyScalar("u1", "|", Bytes("\xff"))),
              Optional(Eq(Json(255))));
  EXPECT_THAT(
      Scalar(NumpyScalar("u8", "<", Bytes("\xff\xff\xff\xff\xff\xff\xff\xff"))),
      Optional(Eq(Json("18446744073709551615"))));
  EXPECT_THAT(Scalar(NumpyScalar("b1", "|", Bytes("\x01"))),
              Optional(Eq(Json(true))));
  EXPECT_THAT(
      Scalar(NumpyScalar("f4", ">", Bytes(std::string("\x3f\0\0\0", 4)))),
      Optional(Eq(Json(0.5))));
  // Below protocol 3, the bytes come as Latin-1 text.
  EXPECT_THAT(Scalar(NumpyScalar("i1", "|",
                                 Call(Global("_codecs", "encode"),
                                      {Text("\u00ff"), Text("latin1")}))),
              Optional(Eq(Json(-1))));
  EXPECT_EQ(Scalar(NumpyScalar("f8", "<", Bytes("\x01"))), std::nullopt);
  EXPECT_EQ(Scalar(NumpyScalar("f2", "<", Bytes("\x01\x01"))), std::nullopt);
  EXPECT_EQ(Scalar(NumpyScalar("V8", "<", Bytes("12345678"))), std::nullopt);
  EXPECT_EQ(Scalar(NumpyScalar("i0", "<", Bytes(""))), std::nullopt);
  EXPECT_EQ(Scalar(NumpyScalar("datetime", "<", Bytes(""))), std::nullopt);
}

TEST(PlainValueTest, EncodedBytesAreTextWhereTheyAreUtf8) {
  const std::string encode = Global("_codecs", "encode");
  EXPECT_THAT(Scalar(Call(encode, {Text("abc"), Text("latin1")})),
              Optional(Eq(Json("abc"))));
  EXPECT_EQ(Scalar(Call(encode, {Text("\u00ff"), Text("latin1")})),
            std::nullopt);
}

TEST(PlainValueTest, SizeOfLookedAtTextIsKnown) {
  const auto size = [](const std::string& value) {
    const LoadedPickle pickle(value);
    return ScalarTextSize(pickle.heap(), pickle.root());
  };
  EXPECT_EQ(size(Text("abc")), 3u);
  EXPECT_EQ(size(Bytes("abcd")), 4u);
  EXPECT_EQ(size(Call(Global("_codecs", "encode"), {Text("abc")})), 3u);
  EXPECT_EQ(size(Call(Global("torch", "device"), {Text("cuda")})), 4u);
  EXPECT_EQ(size(Int(1)), 0u);
}

TEST(PlainValueTest, KeysPrintAsInPython) {
  EXPECT_THAT(Key("N"), Optional(Eq("None")));
  EXPECT_THAT(Key("\x89"), Optional(Eq("False")));
  EXPECT_THAT(Key(Int(140178894849152)), Optional(Eq("140178894849152")));
  EXPECT_THAT(Key("F0.5\n"), Optional(Eq("0.5")));
  EXPECT_THAT(Key(Text("a.b")), Optional(Eq("a.b")));
  EXPECT_THAT(Key(Bytes("ab")), Optional(Eq("ab")));
  EXPECT_EQ(Key(Bytes("\xff")), std::nullopt);
  EXPECT_EQ(Key(Tuple({Int(1)})), std::nullopt);
}

TEST(PlainValueTest, MetadataTextIsSortedAndUtf8) {
  std::vector<SkippedValue> skipped;
  EXPECT_EQ(MetadataText(Json{{"b", 1}, {"a", "\xff"}}, 100, &skipped),
            "{\"a\":\"\ufffd\",\"b\":1}");
  EXPECT_EQ(MetadataText(Json::object(), 100, &skipped), "");
  EXPECT_THAT(skipped, IsEmpty());
}

TEST(PlainValueTest, LargeMetadataLosesItsLargestMembers) {
  const Json object = {{"small", 1},
                       {"large", std::string(60, 'x')},
                       {"larger", std::string(70, 'x')}};
  std::vector<SkippedValue> skipped;
  EXPECT_EQ(Json::parse(MetadataText(object, 100, &skipped)).size(), 2u);
  ASSERT_THAT(skipped, SizeIs(1));
  EXPECT_EQ(skipped[0].path, "larger");
  EXPECT_THAT(skipped[0].reason, HasSubstr("plain values of 72 bytes"));
  skipped.clear();
  EXPECT_EQ(MetadataText(object, 1, &skipped), "");
  EXPECT_THAT(skipped, SizeIs(3));
}

TEST(PlainValueTest, PathsArePrintable) {
  EXPECT_EQ(PrintablePath("a.é"), "a.é");
  EXPECT_EQ(PrintablePath("a\n"), "a\\n");
  EXPECT_EQ(PrintablePath("\xff"), "\\xff");
  EXPECT_EQ(PrintablePath(""), "");
}

}  // namespace
}  // namespace warmstart::format
