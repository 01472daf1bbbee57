#include <cstring>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/format/reader.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

// One storage that is the whole file, and one tensor on it.
class TensorValuesTest : public ::testing::Test {
 protected:
  void SetUp() override { contents_.storages.emplace_back(); }

  void SetFile(std::string bytes) {
    bytes_ = std::move(bytes);
    files_ = {{"file", bytes_}};
    contents_.storages[0].num_bytes = static_cast<int64_t>(bytes_.size());
  }

  void SetTensor(DType dtype, std::vector<int64_t> sizes, int64_t offset,
                 std::vector<int64_t> strides) {
    tensor_.spec = *TensorSpec::Create(dtype, *Shape::Create(std::move(sizes)));
    tensor_.element_offset = offset;
    tensor_.strides = std::move(strides);
  }

  std::vector<std::string> Pieces() {
    std::vector<std::string> pieces;
    EXPECT_OK(
        ForEachPiece(contents_, files_, tensor_, [&](absl::string_view piece) {
          pieces.emplace_back(piece);
          return absl::OkStatus();
        }));
    return pieces;
  }

  std::string Values() {
    std::string values;
    for (const std::string& piece : Pieces()) values += piece;
    return values;
  }

  // The values, element by element, as the definition of strides has it.
  std::string Expected() {
    const int64_t size = DTypeSize(tensor_.spec.dtype());
    const auto sizes = tensor_.spec.shape().sizes();
    std::string values;
    for (int64_t i = 0; i < tensor_.spec.num_elements(); ++i) {
      int64_t rest = i;
      int64_t at = tensor_.element_offset;
      for (int d = tensor_.spec.shape().rank() - 1; d >= 0; --d) {
        at += rest % sizes[d] * tensor_.strides[d];
        rest /= sizes[d];
      }
      values.append(bytes_, at * size, size);
    }
    return values;
  }

  std::string bytes_;
  std::vector<FileView> files_;
  FileContents contents_;
  FileTensor tensor_;
};

std::string Counting(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<char>(i * 37 + (i >> 8));
  }
  return bytes;
}

TEST_F(TensorValuesTest, ContiguousTensorsAreTheFilesOwnBytes) {
  SetFile("0123456789abcdef");
  SetTensor(DType::kInt16, {2, 3}, 1, {3, 1});
  EXPECT_TRUE(IsContiguous(contents_, tensor_));
  int calls = 0;
  EXPECT_OK(
      ForEachPiece(contents_, files_, tensor_, [&](absl::string_view piece) {
        EXPECT_EQ(piece.data(), bytes_.data() + 2);
        EXPECT_EQ(piece, "23456789abcd");
        ++calls;
        return absl::OkStatus();
      }));
  EXPECT_EQ(calls, 1);
}

TEST_F(TensorValuesTest, StridesOfSingleElementsDoNotMatter) {
  SetFile("0123456789abcdef");
  SetTensor(DType::kInt16, {1, 3, 1}, 0, {999, 1, 77});
  EXPECT_TRUE(IsContiguous(contents_, tensor_));
  EXPECT_EQ(Values(), "012345");
}

TEST_F(TensorValuesTest, EmptyTensorsAreOneEmptyPiece) {
  SetFile("");
  SetTensor(DType::kFloat64, {3, 0}, 0, {7, 7});
  EXPECT_TRUE(IsContiguous(contents_, tensor_));
  EXPECT_THAT(Pieces(), ElementsAre(""));
}

TEST_F(TensorValuesTest, ScalarsAreTheirElement) {
  SetFile("0123");
  SetTensor(DType::kInt16, {}, 1, {});
  EXPECT_THAT(Pieces(), ElementsAre("23"));
}

TEST_F(TensorValuesTest, StridedTensorsAreGathered) {
  SetFile("abcdefghijklmnop");
  SetTensor(DType::kUint8, {4, 4}, 0, {1, 4});
  EXPECT_FALSE(IsContiguous(contents_, tensor_));
  EXPECT_EQ(Values(), "aeimbfjncgkodhlp");
  SetTensor(DType::kUint8, {4}, 3, {4});
  EXPECT_EQ(Values(), "dhlp");
  SetTensor(DType::kUint8, {3, 2}, 1, {0, 1});
  EXPECT_EQ(Values(), "bcbcbc");
  SetTensor(DType::kUint8, {2, 2, 2}, 0, {8, 1, 4});
  EXPECT_EQ(Values(), "aebfimjn");
}

TEST_F(TensorValuesTest, EveryElementSizeIsGathered) {
  SetFile(Counting(37 * 21 * 16));
  for (DType dtype : {DType::kInt8, DType::kInt16, DType::kInt32, DType::kInt64,
                      DType::kComplex128}) {
    SetTensor(dtype, {21, 37}, 0, {1, 21});
    EXPECT_EQ(Values(), Expected()) << DTypeName(dtype);
    SetTensor(dtype, {5, 3, 4}, 2, {40, 1, 7});
    EXPECT_EQ(Values(), Expected()) << DTypeName(dtype);
  }
}

TEST_F(TensorValuesTest, LargeTensorsComeInSmallPieces) {
  SetFile(Counting(4'500'000));
  for (const auto& [sizes, strides] :
       std::vector<std::pair<std::vector<int64_t>, std::vector<int64_t>>>{
           {{1500, 3000}, {1, 1500}},
           {{2, 2'250'000}, {1, 2}},
           {{2'250'000, 2}, {1, 2'250'000}},
           {{3, 500, 3000}, {1, 9000, 3}},
           {{2'200'000}, {2}}}) {
    SetTensor(DType::kUint8, sizes, 0, strides);
    const std::vector<std::string> pieces = Pieces();
    EXPECT_GT(pieces.size(), 1u);
    std::string values;
    for (const std::string& piece : pieces) {
      EXPECT_LE(piece.size(), size_t{4} << 20);
      values += piece;
    }
    EXPECT_TRUE(values == Expected()) << sizes.size();
  }
}

TEST_F(TensorValuesTest, BigEndianWordsAreSwapped) {
  SetFile("0123456789abcdef");
  contents_.storages[0].byte_swapped = true;
  SetTensor(DType::kInt32, {2}, 1, {1});
  EXPECT_FALSE(IsContiguous(contents_, tensor_));
  EXPECT_EQ(Values(), "7654ba98");
  SetTensor(DType::kComplex64, {1}, 0, {1});
  EXPECT_EQ(Values(), "32107654");
  SetTensor(DType::kInt16, {2, 2}, 0, {1, 2});
  EXPECT_EQ(Values(), "10543276");
  SetTensor(DType::kFloat8E5M2, {4}, 0, {1});
  EXPECT_TRUE(IsContiguous(contents_, tensor_));
  EXPECT_EQ(Values(), "0123");
}

TEST_F(TensorValuesTest, SinksErrorStopsAndIsReturned) {
  SetFile(Counting(4'500'000));
  SetTensor(DType::kUint8, {1500, 3000}, 0, {1, 1500});
  int calls = 0;
  EXPECT_THAT(ForEachPiece(contents_, files_, tensor_,
                           [&](absl::string_view) {
                             ++calls;
                             return absl::AbortedError("enough");
                           }),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(calls, 1);
}

TEST_F(TensorValuesTest, StoragesAreFoundInTheirFile) {
  const std::vector<FileView> files = {{"a", "abc"}, {"b", "012345"}};
  FileStorage storage;
  storage.file = 1;
  storage.offset = 2;
  storage.num_bytes = 3;
  EXPECT_EQ(StorageBytes(files, storage), "234");
}

}  // namespace
}  // namespace warmstart::format
