#include "server/torch/filling.h"

#include <ATen/Functions.h>

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "server/torch/edge.h"
#include "server/torch/tensor_bridge.h"
#include "tests/testing/status_matchers.h"
#include "tests/torch/tensors.h"

namespace warmstart::backend {
namespace {

using ::warmstart::testing::StatusIs;

// The values themselves are compared with PyTorch's in
// schema_architecture_test.cc.

Shape ShapeOf(std::vector<int64_t> sizes) {
  return testing::Spec(DType::kFloat32, std::move(sizes)).shape();
}

double BoundOf(const Initializer& initializer, std::vector<int64_t> sizes) {
  return std::get<UniformInit>(
             FillingOf(initializer, ShapeOf(std::move(sizes))))
      .high;
}

double StdOf(const Initializer& initializer, std::vector<int64_t> sizes) {
  return std::get<NormalInit>(FillingOf(initializer, ShapeOf(std::move(sizes))))
      .std;
}

TEST(FillingTest, LinearWeightsAreBoundedByTheRootOfTheirFanIn) {
  const Filling filling = FillingOf(KaimingUniformInit{}, ShapeOf({10, 84}));
  const UniformInit& uniform = std::get<UniformInit>(filling);
  EXPECT_NEAR(uniform.high, 1 / std::sqrt(84.0), 1e-15);
  EXPECT_EQ(uniform.low, -uniform.high);
}

TEST(FillingTest, FansCountTheReceptiveField) {
  const KaimingUniformInit fan_out{.mode = FanMode::kFanOut};
  EXPECT_NEAR(BoundOf(KaimingUniformInit{}, {16, 6, 5, 5}),
              1 / std::sqrt(6 * 25.0), 1e-15);
  EXPECT_NEAR(BoundOf(fan_out, {16, 6, 5, 5}), 1 / std::sqrt(16 * 25.0), 1e-15);
  EXPECT_NEAR(StdOf(XavierNormalInit{3}, {16, 6, 5, 5}),
              3 * std::sqrt(2 / (22 * 25.0)), 1e-15);
}

TEST(FillingTest, NothingIsDrawnWhereThereIsNoFan) {
  const Filling zeros = ConstantInit{0};
  EXPECT_EQ(FillingOf(KaimingUniformInit{}, ShapeOf({4, 0})), zeros);
  EXPECT_EQ(FillingOf(KaimingNormalInit{}, ShapeOf({4, 0})), zeros);
  EXPECT_EQ(FillingOf(FanInUniformInit{0}, ShapeOf({4})), zeros);
}

TEST(FillingTest, StoredValuesAreNotDrawn) {
  EXPECT_THAT(GuardTorch([] { FillingOf(StoredInit{}, ShapeOf({4})); }),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(FillingTest, Float8IsDrawnAsFloat32ButFilledAsItself) {
  const DType float8 = DType::kFloat8E8M0FNU;
  for (const Filling& drawn :
       {Filling(NormalInit{}), Filling(UniformInit{}), Filling(SparseInit{})}) {
    EXPECT_EQ(FilledType(drawn, float8), DType::kFloat32);
    EXPECT_EQ(FilledType(drawn, DType::kBFloat16), DType::kBFloat16);
  }
  for (const Filling& filled :
       {Filling(ConstantInit{1}), Filling(EyeInit{}), Filling(DiracInit{})}) {
    EXPECT_EQ(FilledType(filled, float8), float8);
  }
}

TEST(FillingTest, DrawingMovesTheGeneratorOn) {
  at::Generator generator = NewGenerator(at::kCPU, 1);
  at::Tensor first = at::empty({8});
  at::Tensor second = at::empty({8});
  Fill(UniformInit{0, 1}, generator, first);
  Fill(UniformInit{0, 1}, generator, second);
  EXPECT_FALSE(first.equal(second));
}

TEST(FillingTest, NegativeZeroStaysNegative) {
  at::Generator generator = NewGenerator(at::kCPU, 1);
  at::Tensor tensor = at::ones({2});
  Fill(ConstantInit{-0.0}, generator, tensor);
  EXPECT_TRUE(std::signbit(tensor[0].item<float>()));
}

TEST(FillingTest, OrthogonalMatricesHaveOrthonormalRowsOrColumns) {
  at::Generator generator = NewGenerator(at::kCPU, 1);
  at::Tensor wide = at::empty({3, 2, 4});
  Fill(OrthogonalInit{2}, generator, wide);
  const at::Tensor rows = wide.view({3, 8});
  EXPECT_TRUE(at::allclose(rows.mm(rows.t()), at::eye(3).mul(4), 1e-5, 1e-5));
}

TEST(FillingTest, EachColumnOfASparseMatrixHasItsZeros) {
  at::Generator generator = NewGenerator(at::kCPU, 1);
  at::Tensor tensor = at::empty({10, 40});
  Fill(SparseInit{0.25, 1}, generator, tensor);
  EXPECT_TRUE(tensor.eq(0).sum(0).eq(3).all().item<bool>());
}

TEST(FillingTest, WhatNeedsTheWholeTensorIsNotMadeInPieces) {
  at::Generator generator = NewGenerator(at::kCPU, 1);
  at::Tensor piece = at::empty({4});
  EXPECT_THAT(
      GuardTorch([&] { FillPiece(OrthogonalInit{}, generator, piece); }),
      StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace warmstart::backend
