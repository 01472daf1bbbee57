#include "client/cli/tensor_numbers.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

template <typename T>
v1::Tensor Make(const std::string& dtype, const std::vector<T>& values) {
  v1::Tensor tensor;
  tensor.set_dtype(dtype);
  tensor.add_shape(static_cast<int64_t>(values.size()));
  tensor.set_data(values.data(), values.size() * sizeof(T));
  return tensor;
}

TEST(TensorNumbersTest, EveryPlainTypeIsRead) {
  EXPECT_THAT(NumbersOf(Make<float>("float32", {1.5, -2})),
              IsOkAndHolds(ElementsAre(1.5, -2)));
  EXPECT_THAT(NumbersOf(Make<double>("float64", {0.1})),
              IsOkAndHolds(ElementsAre(0.1)));
  EXPECT_THAT(NumbersOf(Make<int64_t>("int64", {-3})),
              IsOkAndHolds(ElementsAre(-3)));
  EXPECT_THAT(NumbersOf(Make<int8_t>("int8", {-128})),
              IsOkAndHolds(ElementsAre(-128)));
  EXPECT_THAT(NumbersOf(Make<uint8_t>("bool", {1, 0})),
              IsOkAndHolds(ElementsAre(1, 0)));
  EXPECT_THAT(NumbersOf(Make<uint32_t>("uint32", {4'000'000'000})),
              IsOkAndHolds(ElementsAre(4e9)));
}

TEST(TensorNumbersTest, HalvesAreReadToTheLastBit) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  // 1, the largest, the smallest normal, the smallest of all, -0.5, infinity.
  EXPECT_THAT(NumbersOf(Make<uint16_t>(
                  "float16", {0x3c00, 0x7bff, 0x0400, 0x0001, 0xb800, 0x7c00})),
              IsOkAndHolds(ElementsAre(1, 65504, std::ldexp(1, -14),
                                       std::ldexp(1, -24), -0.5, kInfinity)));
  EXPECT_TRUE(
      std::isnan(NumbersOf(Make<uint16_t>("float16", {0x7e00})).value()[0]));
  EXPECT_THAT(NumbersOf(Make<uint16_t>("bfloat16", {0x3f80, 0xc000})),
              IsOkAndHolds(ElementsAre(1, -2)));
}

TEST(TensorNumbersTest, NothingIsNoNumbers) {
  EXPECT_THAT(NumbersOf(Make<float>("float32", {})), IsOkAndHolds(IsEmpty()));
}

TEST(TensorNumbersTest, BytesThatDoNotFitTheShapeAreDataLoss) {
  v1::Tensor tensor = Make<float>("float32", {1, 2});
  tensor.set_shape(0, 3);
  EXPECT_THAT(NumbersOf(tensor), StatusIs(absl::StatusCode::kDataLoss));
  tensor.set_shape(0, std::numeric_limits<int64_t>::max());
  tensor.add_shape(std::numeric_limits<int64_t>::max());
  EXPECT_THAT(NumbersOf(tensor), StatusIs(absl::StatusCode::kDataLoss));
  tensor.set_shape(0, -1);
  EXPECT_THAT(NumbersOf(tensor), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(TensorNumbersTest, OtherTypesAreSaidNotToBeShown) {
  EXPECT_THAT(NumbersOf(Make<float>("complex64", {1, 2})),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace warmstart::client
