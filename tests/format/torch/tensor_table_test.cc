#include "server/format/torch/tensor_table.h"

#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

PickledTensor Tensor(int64_t offset, std::vector<int64_t> sizes,
                     std::vector<int64_t> strides) {
  PickledTensor tensor;
  tensor.offset = offset;
  tensor.sizes = std::move(sizes);
  tensor.strides = std::move(strides);
  return tensor;
}

class TensorTableTest : public ::testing::Test {
 protected:
  // Into a window of 48 bytes: 12 float32 elements.
  absl::Status Add(const PickledTensor& tensor, const std::string& key) {
    return table_.Add(key, DType::kFloat32, {0, 0, 48}, tensor);
  }

  void ExpectRefused(const PickledTensor& tensor, const std::string& message) {
    FileContents contents;
    TensorTable table(1000, &contents);
    const absl::Status status =
        table.Add("the.key", DType::kFloat32, {0, 0, 48}, tensor);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                                 HasSubstr(message)));
    EXPECT_THAT(std::string(status.message()), HasSubstr("'the.key'"));
    EXPECT_THAT(contents.tensors, IsEmpty());
  }

  FileContents contents_;
  TensorTable table_{1000, &contents_};
};

TEST_F(TensorTableTest, TensorsInTheirWindowAreAdded) {
  EXPECT_OK(Add(Tensor(0, {3, 4}, {4, 1}), "whole"));
  EXPECT_OK(Add(Tensor(0, {4, 3}, {1, 4}), "transposed"));
  EXPECT_OK(Add(Tensor(11, {}, {}), "last"));
  EXPECT_OK(Add(Tensor(11, {5}, {0}), "expanded"));
  EXPECT_OK(Add(Tensor(11, {1, 1}, {kHuge, 5}), "stride of a single element"));
  EXPECT_THAT(contents_.tensors, SizeIs(5));
  EXPECT_EQ(contents_.tensors[2].element_offset, 11);
}

TEST_F(TensorTableTest, EmptyTensorsReadNothing) {
  EXPECT_OK(Add(Tensor(kHuge, {0}, {1}), "a"));
  EXPECT_OK(Add(Tensor(5, {1000, 0, 1000}, {1, 1, 1}), "b"));
  EXPECT_EQ(contents_.tensors[0].element_offset, 0);
}

TEST_F(TensorTableTest, WindowsShiftTheirTensors) {
  EXPECT_OK(table_.Add("a", DType::kFloat32, {3, 16, 8}, Tensor(1, {1}, {1})));
  EXPECT_EQ(contents_.tensors[0].storage, 3);
  EXPECT_EQ(contents_.tensors[0].element_offset, 5);
  EXPECT_THAT(
      table_.Add("b", DType::kFloat32, {3, 16, 8}, Tensor(2, {1}, {1})),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("outside")));
  EXPECT_THAT(table_.Add("c", DType::kFloat64, {3, 12, 8}, Tensor(0, {1}, {1})),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("the middle of an element")));
}

TEST_F(TensorTableTest, ElementsOutsideOfTheWindowAreRefused) {
  ExpectRefused(Tensor(0, {13}, {1}), "element 12 lies outside");
  ExpectRefused(Tensor(12, {}, {}), "element 12 lies outside");
  ExpectRefused(Tensor(0, {2}, {12}), "element 12 lies outside");
  ExpectRefused(Tensor(kHuge, {1}, {1}), "lies outside");
}

TEST_F(TensorTableTest, NonsenseIsRefused) {
  ExpectRefused(Tensor(-1, {1}, {1}), "offset -1 is negative");
  ExpectRefused(Tensor(0, {-1}, {1}), "negative size");
  ExpectRefused(Tensor(11, {2}, {-1}), "are not all positive");
  ExpectRefused(Tensor(0, {0}, {-1}), "are not all positive");
  ExpectRefused(Tensor(0, {1}, {}), "1 dimensions but 0 strides");
  ExpectRefused(Tensor(0, {kHuge, 2}, {0, 0}), "overflows");
  ExpectRefused(Tensor(0, {kHuge}, {0}), "overflows");
  ExpectRefused(Tensor(0, {3}, {kHuge}), "strides overflow");
  ExpectRefused(Tensor(1, {2}, {kHuge}), "strides overflow");
  ExpectRefused(Tensor(0, {0, kHuge, 4}, {1, 1, 1}), "overflows");
}

TEST_F(TensorTableTest, BadAndRepeatedKeysAreRefused) {
  EXPECT_OK(Add(Tensor(0, {1}, {1}), "a"));
  EXPECT_THAT(Add(Tensor(1, {1}, {1}), "a"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("two tensors have the key 'a'")));
  EXPECT_THAT(Add(Tensor(0, {1}, {1}), "a/../b"),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(contents_.tensors, SizeIs(1));
}

TEST_F(TensorTableTest, ExpansionIsLimited) {
  constexpr int64_t kAllowed =
      (TensorTable::kExpansionAllowance + TensorTable::kMaxExpansion * 1000) /
      4;
  EXPECT_OK(Add(Tensor(0, {kAllowed - 1}, {0}), "a"));
  // The same view again costs nothing.
  EXPECT_OK(Add(Tensor(0, {kAllowed - 1}, {0}), "b"));
  EXPECT_OK(Add(Tensor(1, {1}, {1}), "c"));
  EXPECT_THAT(Add(Tensor(2, {1}, {1}), "d"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("tensor 'd': the tensors expand to more than "
                                 "8 times the file; save them with "
                                 ".contiguous() or .clone()")));
}

}  // namespace
}  // namespace warmstart::format
