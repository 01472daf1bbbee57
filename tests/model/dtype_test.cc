#include "server/model/dtype.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart {
namespace {

using ::testing::HasSubstr;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

TEST(DTypeTest, NamesAndNumbersComeBack) {
  for (DType dtype : kAllDTypes) {
    const std::string name(DTypeName(dtype));
    EXPECT_THAT(ParseDType(name), IsOkAndHolds(dtype));
    EXPECT_THAT(ParseDType("torch." + name), IsOkAndHolds(dtype));
    EXPECT_THAT(DTypeFromNumber(static_cast<int64_t>(dtype)),
                IsOkAndHolds(dtype));
  }
}

// Catalogs hold these numbers.
TEST(DTypeTest, NumbersNeverChange) {
  EXPECT_EQ(static_cast<int>(DType::kBool), 1);
  EXPECT_EQ(static_cast<int>(DType::kInt64), 6);
  EXPECT_EQ(static_cast<int>(DType::kFloat16), 10);
  EXPECT_EQ(static_cast<int>(DType::kFloat32), 12);
  EXPECT_EQ(static_cast<int>(DType::kComplex128), 16);
  EXPECT_EQ(static_cast<int>(DType::kFloat8E8M0FNU), 21);
}

TEST(DTypeTest, SizesAreThoseOfPyTorch) {
  EXPECT_EQ(DTypeSize(DType::kBool), 1);
  EXPECT_EQ(DTypeSize(DType::kBFloat16), 2);
  EXPECT_EQ(DTypeSize(DType::kFloat32), 4);
  EXPECT_EQ(DTypeSize(DType::kFloat64), 8);
  EXPECT_EQ(DTypeSize(DType::kComplex128), 16);
}

TEST(DTypeTest, BytesOfComplexNumbersAreSwappedInHalves) {
  EXPECT_EQ(DTypeWordSize(DType::kComplex64), 4);
  EXPECT_EQ(DTypeWordSize(DType::kComplex128), 8);
  EXPECT_EQ(DTypeWordSize(DType::kInt64), 8);
}

TEST(DTypeTest, UnknownNamesAreRefusedWithThoseThatThereAre) {
  EXPECT_THAT(ParseDType("float"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("float16, bfloat16, float32")));
  EXPECT_THAT(DTypeFromNumber(0), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(DTypeFromNumber(22),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace warmstart
