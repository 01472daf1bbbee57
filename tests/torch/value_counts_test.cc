#include "server/torch/value_counts.h"

#include <ATen/Functions.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/torch/edge.h"
#include "server/torch/placement.h"
#include "server/torch/tensor_bridge.h"
#include "tests/testing/status_matchers.h"
#include "tests/torch/tensors.h"

namespace warmstart::backend {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// What is counted when `values`, of type `from`, are cast to `to`.
LoadCounts CountsOf(const std::vector<double>& values, DType from, DType to) {
  LoadCounts counts;
  EXPECT_OK(GuardTorch([&] {
    const at::Tensor before =
        at::tensor(values, at::kDouble).to(ToScalarType(from));
    CountValues(before, before.to(ToScalarType(to)), counts);
  }));
  return counts;
}

TEST(ValueCountsTest, EveryPairOfDTypesIsCounted) {
  for (DType from : kAllDTypes) {
    for (DType to : kAllDTypes) {
      EXPECT_EQ(CountsOf({1, 1, 1}, from, to), LoadCounts())
          << DTypeName(from) << " to " << DTypeName(to);
    }
  }
}

TEST(ValueCountsTest, OverflowsAreWhatWasFinite) {
  const std::vector<double> values = {1e5, -1e5, 1, kInfinity, std::nan("")};
  EXPECT_EQ(CountsOf(values, DType::kFloat32, DType::kFloat16),
            (LoadCounts{4, 2, 0}));
  EXPECT_EQ(CountsOf(values, DType::kFloat32, DType::kBFloat16),
            (LoadCounts{2, 0, 0}));
  // It has no infinity: there, what is too large is a NaN.
  EXPECT_EQ(CountsOf(values, DType::kFloat64, DType::kFloat8E4M3FN),
            (LoadCounts{4, 2, 0}));
  EXPECT_EQ(CountsOf({70000, -70000}, DType::kInt32, DType::kFloat16),
            (LoadCounts{2, 2, 0}));
  EXPECT_EQ(CountsOf({1e300}, DType::kComplex128, DType::kComplex64),
            (LoadCounts{1, 1, 0}));
}

TEST(ValueCountsTest, UnderflowsAreWhatWasNotZero) {
  const std::vector<double> values = {0, -0.0, 1e-10, -1e-10, 1};
  EXPECT_EQ(CountsOf(values, DType::kFloat32, DType::kFloat16),
            (LoadCounts{0, 0, 2}));
  EXPECT_EQ(CountsOf(values, DType::kFloat32, DType::kFloat64), LoadCounts());
  EXPECT_EQ(CountsOf(values, DType::kFloat64, DType::kFloat8E5M2),
            (LoadCounts{0, 0, 2}));
  EXPECT_EQ(CountsOf({0.5, 0, 2}, DType::kFloat32, DType::kInt32),
            (LoadCounts{0, 0, 1}));
}

TEST(ValueCountsTest, WhatIsUnchangedIsOnlyLookedThrough) {
  const std::vector<double> values = {0, kInfinity, std::nan(""), -kInfinity};
  for (DType dtype : {DType::kFloat64, DType::kFloat32, DType::kFloat16,
                      DType::kBFloat16, DType::kFloat8E5M2}) {
    EXPECT_EQ(CountsOf(values, dtype, dtype), (LoadCounts{3, 0, 0}))
        << DTypeName(dtype);
  }
}

// Both kinds of placement, tensors of several pieces, any alignment.
TEST(ValueCountsTest, PlacementsCountWhatTheyLoad) {
  const int64_t total = 2 * kPieceElements + 3;
  std::vector<float> values(total, 1.0F);
  values[0] = values[kPieceElements] = 1e-20F;
  values[total - 1] = values[kPieceElements - 1] = 1e20F;
  values[kPieceElements + 1] = std::nanf("");
  const OwnedTensor source = testing::Floats({total}, values);
  std::string output(total * 2, '\0');
  for (size_t offset : {0, 1}) {
    testing::OffsetBytes input(source.bytes.size(), offset);
    source.bytes.copy(input.span().data(), source.bytes.size());
    const HostTensor tensor{source.spec, input.view()};
    for (const auto& placement :
         {MakeHostPlacement(), MakeDevicePlacement(at::kCPU)}) {
      LoadCounts same;
      LoadCounts cast;
      ASSERT_OK(GuardTorch([&] {
        placement->Load(tensor, {DType::kFloat32, {}, &same});
        placement->Load(tensor,
                        {DType::kFloat16, absl::MakeSpan(output), &cast});
      }));
      EXPECT_EQ(same, (LoadCounts{1, 0, 0}));
      EXPECT_EQ(cast, (LoadCounts{3, 2, 2}));
    }
  }
}

}  // namespace
}  // namespace warmstart::backend
