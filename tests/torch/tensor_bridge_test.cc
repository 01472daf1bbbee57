#include "server/torch/tensor_bridge.h"

#include <ATen/Functions.h>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/torch/tensors.h"

namespace warmstart::backend {
namespace {

using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

TEST(TensorBridgeTest, EveryDTypeHasItsCounterpartOfTheSameSize) {
  for (DType dtype : kAllDTypes) {
    const at::ScalarType type = ToScalarType(dtype);
    EXPECT_EQ(static_cast<int>(c10::elementSize(type)), DTypeSize(dtype));
    EXPECT_THAT(ToDType(type), IsOkAndHolds(dtype)) << DTypeName(dtype);
  }
}

TEST(TensorBridgeTest, TypesThatCannotBeStoredAreRefused) {
  EXPECT_THAT(ToDType(at::kQInt8),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "values of type QInt8 cannot be stored"));
}

TEST(TensorBridgeTest, AlignedTensorsAreBorrowed) {
  testing::OffsetBytes bytes(24, 0);
  const at::Tensor tensor =
      BorrowOrCopy({testing::Spec(DType::kFloat32, {2, 3}), bytes.view()});
  EXPECT_EQ(tensor.data_ptr(), bytes.span().data());
  EXPECT_EQ(tensor.sizes(), at::IntArrayRef({2, 3}));
}

TEST(TensorBridgeTest, UnalignedTensorsAreCopied) {
  testing::OffsetBytes bytes(24, 3);
  for (size_t i = 0; i < 24; ++i) bytes.span()[i] = static_cast<char>(i);
  const at::Tensor tensor =
      BorrowOrCopy({testing::Spec(DType::kFloat32, {2, 3}), bytes.view()});
  EXPECT_NE(tensor.data_ptr(), bytes.span().data());
  EXPECT_EQ(absl::string_view(static_cast<char*>(tensor.data_ptr()), 24),
            bytes.view());
}

// c10::complex<double> may be moved by instructions that want 16 bytes.
TEST(TensorBridgeTest, ComplexElementsAreAlignedToTheirWholeSize) {
  testing::OffsetBytes bytes(16, 8);
  EXPECT_FALSE(IsAligned(bytes.span().data(), DType::kComplex128));
  EXPECT_TRUE(IsAligned(bytes.span().data(), DType::kComplex64));
}

TEST(TensorBridgeTest, BytesOfEveryRankAreFlat) {
  for (const std::vector<int64_t>& sizes :
       std::vector<std::vector<int64_t>>{{}, {0}, {3}, {2, 0}, {2, 3}}) {
    const at::Tensor tensor = at::ones(sizes, at::kDouble);
    EXPECT_EQ(BytesOf(tensor).sizes(), at::IntArrayRef({tensor.numel() * 8}));
  }
}

TEST(TensorBridgeTest, GeneratorsOfOneSeedAgree) {
  at::Generator first = NewGenerator(at::kCPU, 7);
  at::Generator second = NewGenerator(at::kCPU, 7);
  EXPECT_TRUE(at::rand({4}, first).equal(at::rand({4}, second)));
}

}  // namespace
}  // namespace warmstart::backend
