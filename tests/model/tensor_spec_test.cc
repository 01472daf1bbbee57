#include "server/model/tensor_spec.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::warmstart::testing::IsOk;
using ::warmstart::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

TEST(ShapeTest, CountsElements) {
  EXPECT_EQ(Shape().num_elements(), 1);
  EXPECT_EQ(Shape::Create({2, 3, 4}).value().num_elements(), 24);
  EXPECT_EQ(Shape::Create({2, 0, 4}).value().num_elements(), 0);
}

TEST(ShapeTest, RefusesNegativeSizes) {
  EXPECT_THAT(Shape::Create({2, -1}),
              StatusIs(kInvalid, HasSubstr("[2, -1] has a negative size")));
}

TEST(ShapeTest, RefusesProductsThatOverflow) {
  EXPECT_THAT(Shape::Create({kMax, 2}),
              StatusIs(kInvalid, HasSubstr("overflow")));
  // A zero does not hide what its neighbours are: strides come from them.
  EXPECT_THAT(Shape::Create({0, kMax, 2}), StatusIs(kInvalid));
  EXPECT_THAT(Shape::Create({kMax, 1}), IsOk());
}

TEST(ShapeTest, RefusesTooManyDimensions) {
  EXPECT_THAT(Shape::Create(std::vector<int64_t>(64, 1)), IsOk());
  EXPECT_THAT(Shape::Create(std::vector<int64_t>(65, 1)), StatusIs(kInvalid));
}

// torch.empty(s).stride()
TEST(ShapeTest, StridesAreThoseOfPyTorch) {
  EXPECT_THAT(Shape::Create({2, 3, 4}).value().ContiguousStrides(),
              ElementsAre(12, 4, 1));
  EXPECT_THAT(Shape::Create({2, 0, 4}).value().ContiguousStrides(),
              ElementsAre(4, 4, 1));
  EXPECT_THAT(Shape().ContiguousStrides(), ElementsAre());
}

TEST(ShapeTest, PrintsAsPyTorchDoes) {
  EXPECT_EQ(Shape::Create({10, 16}).value().ToTorchString(),
            "torch.Size([10, 16])");
  EXPECT_EQ(Shape().ToTorchString(), "torch.Size([])");
}

TEST(TensorSpecTest, CountsBytes) {
  const Shape shape = Shape::Create({2, 3}).value();
  EXPECT_EQ(TensorSpec::Create(DType::kComplex128, shape).value().num_bytes(),
            96);
  EXPECT_EQ(TensorSpec::Create(DType::kBFloat16, shape).value().ToString(),
            "bfloat16 [2, 3]");
}

TEST(TensorSpecTest, RefusesBytesThatOverflow) {
  const Shape shape = Shape::Create({kMax / 4}).value();
  EXPECT_THAT(TensorSpec::Create(DType::kUint8, shape), IsOk());
  EXPECT_THAT(TensorSpec::Create(DType::kFloat64, shape),
              StatusIs(kInvalid, HasSubstr("float64")));
}

}  // namespace
}  // namespace warmstart
