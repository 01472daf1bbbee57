#include "server/format/safetensors/safetensors_reader.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/format/safetensors/safetensors_dtype.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

std::string Length(uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes.push_back(static_cast<char>(length >> (8 * i)));
  }
  return bytes;
}

std::string File(absl::string_view header, absl::string_view data = "") {
  return absl::StrCat(Length(header.size()), header, data);
}

absl::StatusOr<FileContents> Read(const std::string& bytes) {
  return ReadSafetensors(FileView{"model.safetensors", bytes});
}

// A file with one tensor, "x", of these fields.
absl::StatusOr<FileContents> ReadTensor(absl::string_view fields,
                                        absl::string_view data = "") {
  return Read(File(absl::StrCat("{\"x\": {", fields, "}}"), data));
}

TEST(SafetensorsReaderTest, TensorsAndMetadataAreRead) {
  const std::string header =
      R"({"__metadata__": {"format": "pt", "author": "\u00e9"},)"
      R"("w": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},)"
      R"("s": {"dtype": "I8", "shape": [], "data_offsets": [8, 9]}}   )";
  ASSERT_OK_AND_ASSIGN(const FileContents contents,
                       Read(File(header, "abcdefghi")));

  EXPECT_EQ(contents.format, "safetensors");
  EXPECT_EQ(contents.metadata_json, R"({"author":"é","format":"pt"})");
  EXPECT_THAT(contents.skipped, IsEmpty());
  EXPECT_THAT(contents.subtrees, IsEmpty());
  ASSERT_THAT(contents.tensors, SizeIs(2));
  ASSERT_THAT(contents.storages, SizeIs(2));
  const int64_t data = 8 + static_cast<int64_t>(header.size());

  EXPECT_EQ(contents.tensors[0].key, "w");
  EXPECT_EQ(contents.tensors[0].spec.ToString(), "float32 [2, 1]");
  EXPECT_EQ(contents.tensors[0].storage, 0);
  EXPECT_EQ(contents.tensors[0].element_offset, 0);
  EXPECT_THAT(contents.tensors[0].strides, ElementsAre(1, 1));
  EXPECT_EQ(contents.storages[0].file, 0);
  EXPECT_EQ(contents.storages[0].offset, data);
  EXPECT_EQ(contents.storages[0].num_bytes, 8);
  EXPECT_FALSE(contents.storages[0].byte_swapped);
  EXPECT_FALSE(contents.storages[0].crc32.has_value());

  EXPECT_EQ(contents.tensors[1].key, "s");
  EXPECT_EQ(contents.tensors[1].spec.ToString(), "int8 []");
  EXPECT_THAT(contents.tensors[1].strides, IsEmpty());
  EXPECT_EQ(contents.storages[1].offset, data + 8);
  EXPECT_EQ(contents.storages[1].num_bytes, 1);
}

TEST(SafetensorsReaderTest, TensorsComeInTheOrderOfTheirData) {
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read(File(R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]},
                    "z": {"dtype": "U8", "shape": [0], "data_offsets": [1, 1]},
                    "b": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}
                   })",
                "ab")));
  ASSERT_THAT(contents.tensors, SizeIs(3));
  EXPECT_EQ(contents.tensors[0].key, "b");
  EXPECT_EQ(contents.tensors[1].key, "z");
  EXPECT_EQ(contents.tensors[2].key, "a");
}

TEST(SafetensorsReaderTest, EveryTypeIsRead) {
  for (DType dtype : kAllDTypes) {
    const SafetensorsDType* type = FindSafetensorsDType(dtype);
    if (type == nullptr) continue;
    const int size = DTypeSize(dtype);
    ASSERT_OK_AND_ASSIGN(
        const FileContents contents,
        ReadTensor(absl::StrCat(R"("dtype": ")", type->name,
                                R"(", "shape": [3], "data_offsets": [0, )",
                                3 * size, "]"),
                   std::string(3 * size, '\0')));
    ASSERT_THAT(contents.tensors, SizeIs(1));
    EXPECT_EQ(contents.tensors[0].spec.dtype(), dtype);
  }
}

TEST(SafetensorsReaderTest, TypesSmallerThanAByteAreSkippedWithAReason) {
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read(File(R"({"q": {"dtype": "F4", "shape": [4], "data_offsets": [0, 2]},
                    "w": {"dtype": "U8", "shape": [1], "data_offsets": [2, 3]}
                   })",
                "abc")));
  ASSERT_THAT(contents.skipped, SizeIs(1));
  EXPECT_EQ(contents.skipped[0].path, "q");
  EXPECT_EQ(contents.skipped[0].reason,
            "elements of type F4 are smaller than a byte");
  ASSERT_THAT(contents.tensors, SizeIs(1));
  EXPECT_EQ(contents.tensors[0].key, "w");
}

TEST(SafetensorsReaderTest, FileWithoutTensorsIsRead) {
  ASSERT_OK_AND_ASSIGN(const FileContents contents, Read(File("{}")));
  EXPECT_THAT(contents.tensors, IsEmpty());
  EXPECT_EQ(contents.metadata_json, "");
}

// The container.

TEST(SafetensorsReaderTest, FileShorterThanTheLengthIsRefused) {
  EXPECT_THAT(Read(""), StatusIs(kInvalid, HasSubstr("ends at byte 0")));
  EXPECT_THAT(Read(std::string(7, '\0')),
              StatusIs(kInvalid, HasSubstr("ends at byte 7")));
}

TEST(SafetensorsReaderTest, HeaderPastTheCapIsRefused) {
  EXPECT_THAT(Read(absl::StrCat(Length(100'000'001), "{}")),
              StatusIs(kInvalid, HasSubstr("claims 100000001 bytes; at most")));
  EXPECT_THAT(Read(absl::StrCat(Length(UINT64_MAX), "{}")),
              StatusIs(kInvalid, HasSubstr("at most")));
}

TEST(SafetensorsReaderTest, TruncatedHeaderIsRefused) {
  EXPECT_THAT(
      Read(absl::StrCat(Length(3), "{}")),
      StatusIs(kInvalid, HasSubstr("ends at byte 10, inside the header")));
}

TEST(SafetensorsReaderTest, HeaderThatIsNoObjectIsRefused) {
  for (absl::string_view header : {"", " {}", "[]", "\xEF\xBB\xBF{}"}) {
    EXPECT_THAT(Read(File(header)),
                StatusIs(kInvalid, HasSubstr("does not start with '{'")));
  }
}

TEST(SafetensorsReaderTest, HeaderThatIsNoUtf8IsRefused) {
  EXPECT_THAT(Read(File("{\"\xFF\": {}}")),
              StatusIs(kInvalid, HasSubstr("not valid UTF-8")));
}

TEST(SafetensorsReaderTest, HeaderThatIsNoJsonIsRefused) {
  EXPECT_THAT(Read(File("{\"a\": }")),
              StatusIs(kInvalid, HasSubstr("syntax error at byte")));
  EXPECT_THAT(Read(File("{} {}")),
              StatusIs(kInvalid, HasSubstr("syntax error at byte")));
}

TEST(SafetensorsReaderTest, DeepNestingIsRefused) {
  EXPECT_THAT(ReadTensor(R"("shape": [[1]])"),
              StatusIs(kInvalid, HasSubstr("nested deeper")));
}

// The header's members.

TEST(SafetensorsReaderTest, DuplicateTensorIsRefused) {
  EXPECT_THAT(
      Read(File(R"({"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]},
                    "a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
                   })")),
      StatusIs(kInvalid, HasSubstr("key 'a' is there twice")));
}

TEST(SafetensorsReaderTest, KeyWithPathTricksIsRefused) {
  EXPECT_THAT(Read(File(R"({"../a": {}})")),
              StatusIs(kInvalid, HasSubstr("'..' path component")));
  EXPECT_THAT(Read(File(R"({"\u0000": {}})")),
              StatusIs(kInvalid, HasSubstr("control characters")));
}

TEST(SafetensorsReaderTest, MetadataThatIsNoMapOfStringsIsRefused) {
  EXPECT_THAT(Read(File(R"({"__metadata__": "pt"})")),
              StatusIs(kInvalid, "__metadata__ is not an object"));
  EXPECT_THAT(
      Read(File(R"({"__metadata__": {"a": 1}})")),
      StatusIs(kInvalid, "__metadata__: the value of 'a' is not a string"));
}

TEST(SafetensorsReaderTest, TensorThatIsNoObjectIsRefused) {
  EXPECT_THAT(Read(File(R"({"x": []})")),
              StatusIs(kInvalid, "tensor 'x': is not an object"));
}

TEST(SafetensorsReaderTest, UnknownFieldIsRefused) {
  EXPECT_THAT(ReadTensor(R"("color": "red")"),
              StatusIs(kInvalid, "tensor 'x': unknown field 'color'"));
}

TEST(SafetensorsReaderTest, DuplicateFieldIsRefused) {
  EXPECT_THAT(ReadTensor(R"("dtype": "U8", "dtype": "I8")"),
              StatusIs(kInvalid, HasSubstr("key 'dtype' is there twice")));
}

TEST(SafetensorsReaderTest, MissingFieldIsRefused) {
  EXPECT_THAT(ReadTensor(R"("shape": [], "data_offsets": [0, 1])", "a"),
              StatusIs(kInvalid, "tensor 'x': has no dtype"));
  EXPECT_THAT(ReadTensor(R"("dtype": "U8", "data_offsets": [0, 1])", "a"),
              StatusIs(kInvalid, "tensor 'x': has no shape"));
  EXPECT_THAT(
      ReadTensor(R"("dtype": "U8", "shape": [])", "a"),
      StatusIs(kInvalid, "tensor 'x': has no data_offsets of two elements"));
  EXPECT_THAT(
      ReadTensor(R"("dtype": "U8", "shape": [], "data_offsets": [0])", "a"),
      StatusIs(kInvalid, "tensor 'x': has no data_offsets of two elements"));
}

TEST(SafetensorsReaderTest, UnknownDTypeIsRefused) {
  EXPECT_THAT(ReadTensor(R"("dtype": "F33")"),
              StatusIs(kInvalid, "tensor 'x': unknown dtype 'F33'"));
  EXPECT_THAT(ReadTensor(R"("dtype": 32)"),
              StatusIs(kInvalid, "tensor 'x': dtype is not a string"));
}

TEST(SafetensorsReaderTest, ShapeThatIsNoListOfSizesIsRefused) {
  EXPECT_THAT(ReadTensor(R"("shape": 1)"),
              StatusIs(kInvalid, "tensor 'x': shape is not an array"));
  for (absl::string_view shape :
       {"[-1]", "[1.5]", "[1e2]", "[\"1\"]", "[true]", "[null]",
        "[9223372036854775808]", "[18446744073709551616]"}) {
    EXPECT_THAT(ReadTensor(absl::StrCat("\"shape\": ", shape)),
                StatusIs(kInvalid,
                         "tensor 'x': shape holds something other than sizes"))
        << shape;
  }
}

TEST(SafetensorsReaderTest, ShapeWithTooManyDimensionsIsRefused) {
  std::string shape = "1";
  for (int i = 1; i < 65; ++i) shape += ",1";
  EXPECT_THAT(ReadTensor(absl::StrCat("\"shape\": [", shape, "]")),
              StatusIs(kInvalid, HasSubstr("more than 64 dimensions")));
}

TEST(SafetensorsReaderTest, OffsetsThatAreNoPairAreRefused) {
  EXPECT_THAT(ReadTensor(R"("data_offsets": "0-1")"),
              StatusIs(kInvalid, "tensor 'x': data_offsets is not an array"));
  EXPECT_THAT(ReadTensor(R"("data_offsets": [0, 1, 2])"),
              StatusIs(kInvalid, HasSubstr("more than two elements")));
  EXPECT_THAT(ReadTensor(R"("data_offsets": [-1, 2])"),
              StatusIs(kInvalid, HasSubstr("data_offsets holds something")));
}

// What the values mean together.

TEST(SafetensorsReaderTest, OffsetsThatEndBeforeTheyBeginAreRefused) {
  EXPECT_THAT(
      ReadTensor(R"("dtype": "U8", "shape": [1], "data_offsets": [1, 0])", "a"),
      StatusIs(kInvalid, HasSubstr("[1, 0] end before they begin")));
}

TEST(SafetensorsReaderTest, OffsetsPastTheDataAreRefused) {
  EXPECT_THAT(
      ReadTensor(R"("dtype": "U8", "shape": [2], "data_offsets": [0, 2])", "a"),
      StatusIs(kInvalid, HasSubstr("past the end of the data, which has 1")));
}

TEST(SafetensorsReaderTest, OverlapIsRefused) {
  EXPECT_THAT(
      Read(File(R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
                    "b": {"dtype": "U8", "shape": [2], "data_offsets": [1, 3]}
                   })",
                "abc")),
      StatusIs(kInvalid, HasSubstr("tensor 'b': data_offsets [1, 3] overlap")));
}

TEST(SafetensorsReaderTest, HoleIsRefused) {
  EXPECT_THAT(
      Read(File(R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
                    "b": {"dtype": "U8", "shape": [1], "data_offsets": [2, 3]}
                   })",
                "abc")),
      StatusIs(kInvalid, HasSubstr("tensor 'b': bytes 1 to 2 of the data")));
}

TEST(SafetensorsReaderTest, DataThatBelongsToNoTensorIsRefused) {
  EXPECT_THAT(
      ReadTensor(R"("dtype": "U8", "shape": [1], "data_offsets": [0, 1])",
                 "ab"),
      StatusIs(kInvalid,
               "the tensors end at byte 1 of the data, which has 2 "
               "bytes"));
}

TEST(SafetensorsReaderTest, ShapeThatDoesNotFitTheOffsetsIsRefused) {
  EXPECT_THAT(
      ReadTensor(R"("dtype": "F16", "shape": [2], "data_offsets": [0, 3])",
                 "abc"),
      StatusIs(kInvalid, HasSubstr("span 3 bytes, but shape [2] of F16 needs "
                                   "4")));
}

TEST(SafetensorsReaderTest, OverflowingShapeIsRefused) {
  EXPECT_THAT(ReadTensor(R"("dtype": "U8", "shape": [4294967296, 4294967296],
                    "data_offsets": [0, 0])"),
              StatusIs(kInvalid, HasSubstr("tensor 'x': shape")));
  EXPECT_THAT(ReadTensor(R"("dtype": "F64", "shape": [4611686018427387904],
                    "data_offsets": [0, 0])"),
              StatusIs(kInvalid, HasSubstr("overflows")));
}

TEST(SafetensorsReaderTest, TypesThatEndInsideAByteAreRefused) {
  EXPECT_THAT(
      ReadTensor(R"("dtype": "F4", "shape": [3], "data_offsets": [0, 2])",
                 "ab"),
      StatusIs(kInvalid, HasSubstr("12 bits, which is no whole bytes")));
}

TEST(SafetensorsReaderTest, EveryTruncationIsRefused) {
  const std::string file =
      File(R"({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})",
           "abcdefgh");
  ASSERT_OK(Read(file));
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_THAT(Read(file.substr(0, size)), StatusIs(kInvalid)) << size;
  }
}

}  // namespace
}  // namespace warmstart::format
