#include "server/torch/distribution.h"

#include <ATen/Functions.h>

#include <cmath>

#include "gtest/gtest.h"
#include "server/torch/tensor_bridge.h"
#include "tests/torch/tensors.h"

namespace warmstart::backend {
namespace {

using Kind = Distribution::Kind;

// The values themselves are compared with PyTorch's in
// schema_architecture_test.cc.

Shape ShapeOf(std::vector<int64_t> sizes) {
  return testing::Spec(DType::kFloat32, std::move(sizes)).shape();
}

TEST(DistributionTest, LinearWeightsAreBoundedByTheRootOfTheirFanIn) {
  const Distribution distribution =
      DistributionOf(KaimingUniformInit{}, ShapeOf({10, 84}));
  EXPECT_EQ(distribution.kind, Kind::kUniform);
  EXPECT_NEAR(distribution.b, 1 / std::sqrt(84.0), 1e-15);
  EXPECT_EQ(distribution.a, -distribution.b);
}

TEST(DistributionTest, FansCountTheReceptiveField) {
  const Shape shape = ShapeOf({16, 6, 5, 5});
  const KaimingUniformInit fan_in;
  const KaimingUniformInit fan_out{.mode = FanMode::kFanOut};
  EXPECT_NEAR(DistributionOf(fan_in, shape).b, 1 / std::sqrt(6 * 25.0), 1e-15);
  EXPECT_NEAR(DistributionOf(fan_out, shape).b, 1 / std::sqrt(16 * 25.0),
              1e-15);
}

TEST(DistributionTest, NothingIsDrawnWhereThereIsNoFan) {
  EXPECT_EQ(DistributionOf(KaimingUniformInit{}, ShapeOf({4, 0})).kind,
            Kind::kConstant);
  const Distribution bias = DistributionOf(FanInUniformInit{0}, ShapeOf({4}));
  EXPECT_EQ(bias.kind, Kind::kConstant);
  EXPECT_EQ(bias.a, 0);
}

TEST(DistributionTest, Float8IsDrawnAsFloat32ButFilledAsItself) {
  const Distribution normal{Kind::kNormal, 0, 1};
  const Distribution constant{Kind::kConstant, 1, 0};
  EXPECT_EQ(DrawnType(normal, DType::kFloat8E8M0FNU), DType::kFloat32);
  EXPECT_EQ(DrawnType(constant, DType::kFloat8E8M0FNU), DType::kFloat8E8M0FNU);
  EXPECT_EQ(DrawnType(normal, DType::kBFloat16), DType::kBFloat16);
}

TEST(DistributionTest, DrawingMovesTheGeneratorOn) {
  at::Generator generator = NewGenerator(at::kCPU, 1);
  at::Tensor first = at::empty({8});
  at::Tensor second = at::empty({8});
  Draw({Kind::kUniform, 0, 1}, generator, first);
  Draw({Kind::kUniform, 0, 1}, generator, second);
  EXPECT_FALSE(first.equal(second));
}

TEST(DistributionTest, NegativeZeroStaysNegative) {
  at::Generator generator = NewGenerator(at::kCPU, 1);
  at::Tensor tensor = at::ones({2});
  Draw({Kind::kConstant, -0.0, 0}, generator, tensor);
  EXPECT_TRUE(std::signbit(tensor[0].item<float>()));
}

}  // namespace
}  // namespace warmstart::backend
