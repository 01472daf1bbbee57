#include "server/model/initializer.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart {
namespace {

using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

TensorSpec Spec(DType dtype, std::vector<int64_t> sizes) {
  return TensorSpec::Create(dtype, Shape::Create(std::move(sizes)).value())
      .value();
}

TensorSpec Floats(std::vector<int64_t> sizes) {
  return Spec(DType::kFloat32, std::move(sizes));
}

struct Refusal {
  Initializer initializer;
  std::string message;
};

TEST(InitializerTest, NumbersThatMakeNoSenseAreRefusedWithoutATensor) {
  const Refusal refusals[] = {
      {NormalInit{kInf, 1}, "normal needs a finite mean and std"},
      {NormalInit{0, -1}, "normal needs a std of at least 0"},
      {NormalInit{0, 1, -1}, "normal needs a zero_row of at least 0"},
      {UniformInit{1, 0}, "uniform needs low <= high"},
      {UniformInit{kNan, 0}, "uniform needs a finite low and high"},
      {KaimingUniformInit{1e200}, "an a whose square is finite"},
      {KaimingNormalInit{kNan}, "an a whose square is finite"},
      {XavierUniformInit{-1}, "xavier_uniform needs a finite gain of at least"},
      {XavierNormalInit{kInf}, "xavier_normal needs a finite gain of at least"},
      {TruncNormalInit{0, 0}, "trunc_normal needs a std above 0"},
      {TruncNormalInit{0, 1, 2, 1}, "trunc_normal needs a <= b"},
      {TruncNormalInit{0, 1, -kInf, 1}, "needs a finite mean, std, a and b"},
      {OrthogonalInit{kNan}, "orthogonal needs a finite gain"},
      {SparseInit{1.5}, "sparse needs a sparsity from 0 to 1"},
      {SparseInit{kNan}, "sparse needs a sparsity from 0 to 1"},
      {SparseInit{0.5, -1}, "sparse needs a finite std of at least 0"},
      {DiracInit{0}, "dirac needs at least one group"},
      {FanInUniformInit{-1}, "fan_in_uniform needs fan_in >= 0"},
  };
  for (const Refusal& refusal : refusals) {
    EXPECT_THAT(ValidateInitializer(refusal.initializer),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr(refusal.message)));
    EXPECT_THAT(ValidateInitializer(refusal.initializer, Floats({2, 2})),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr(refusal.message)));
  }
}

TEST(InitializerTest, NumbersAtTheirLimitsAreTaken) {
  const Initializer initializers[] = {
      ConstantInit{kNan},     NormalInit{0, 0},     UniformInit{1, 1},
      KaimingUniformInit{-3}, XavierUniformInit{0}, TruncNormalInit{0, 1, 1, 1},
      OrthogonalInit{-1},     SparseInit{0, 0},     SparseInit{1},
      FanInUniformInit{0},    StoredInit{},         EyeInit{},
      NormalInit{0, 1, 1000}};
  for (const Initializer& initializer : initializers) {
    EXPECT_OK(ValidateInitializer(initializer)) << InitializerName(initializer);
  }
}

struct ShapeCase {
  Initializer initializer;
  std::vector<std::vector<int64_t>> taken;
  std::vector<std::vector<int64_t>> refused;
};

TEST(InitializerTest, ShapesAreThoseThatTorchTakes) {
  const ShapeCase cases[] = {
      {ConstantInit{1}, {{}, {0}, {2, 3, 4, 5, 6, 7}}, {}},
      {NormalInit{}, {{}, {0}, {3}, {2, 0}}, {}},
      {NormalInit{0, 1, 2}, {{3}, {3, 4}, {3, 0}}, {{}, {2}, {2, 9}, {0, 4}}},
      {TruncNormalInit{}, {{}, {0}, {3}, {2, 3, 4, 5, 6}}, {}},
      {KaimingUniformInit{}, {{2, 3}, {2, 3, 4, 5, 6}, {0}, {2, 0}}, {{}, {3}}},
      {KaimingNormalInit{}, {{2, 3}, {2, 3, 4}, {0}, {0, 2}}, {{}, {3}}},
      {XavierUniformInit{},
       {{2, 3}, {0, 3}, {3, 0}, {2, 3, 4, 5, 6}},
       {{}, {3}, {0}, {0, 0}, {2, 2, 0}}},
      {XavierNormalInit{}, {{2, 3}, {0, 3}}, {{}, {3}, {0, 0}, {2, 2, 0}}},
      {OrthogonalInit{}, {{2, 3}, {0, 0}, {2, 3, 4, 5, 6}}, {{}, {3}, {0}}},
      {SparseInit{0.5}, {{2, 3}, {0, 3}, {3, 0}}, {{}, {3}, {2, 3, 4}}},
      {EyeInit{}, {{2, 3}, {0, 3}}, {{}, {3}, {2, 3, 4}}},
      {DiracInit{},
       {{2, 3, 4}, {2, 3, 4, 5, 6}, {0, 3, 0}, {2, 0, 0}},
       {{}, {2, 3}, {1, 2, 3, 4, 5, 6}, {2, 3, 0}, {2, 3, 4, 0}}},
      {DiracInit{3}, {{6, 2, 1}, {0, 2, 1}}, {{4, 2, 1}, {2, 2, 1}}},
      {FanInUniformInit{4}, {{}, {3}, {2, 3}}, {}},
      {StoredInit{}, {{}, {3}, {2, 3}}, {}},
  };
  for (const ShapeCase& c : cases) {
    for (const std::vector<int64_t>& shape : c.taken) {
      EXPECT_OK(ValidateInitializer(c.initializer, Floats(shape)))
          << Floats(shape).ToString();
    }
    for (const std::vector<int64_t>& shape : c.refused) {
      EXPECT_THAT(ValidateInitializer(c.initializer, Floats(shape)),
                  StatusIs(absl::StatusCode::kInvalidArgument,
                           HasSubstr(InitializerName(c.initializer))))
          << Floats(shape).ToString();
    }
  }
}

struct DTypeCase {
  Initializer initializer;
  std::vector<DType> taken;
  std::vector<DType> refused;
};

TEST(InitializerTest, DTypesAreThoseThatTorchMakes) {
  const DTypeCase cases[] = {
      {ConstantInit{1}, {DType::kBool, DType::kUint64, DType::kFloat8E5M2}, {}},
      {NormalInit{},
       {DType::kFloat16, DType::kComplex32, DType::kFloat8E5M2},
       {DType::kInt64, DType::kBool}},
      {SparseInit{}, {DType::kBFloat16, DType::kComplex64}, {DType::kInt8}},
      {TruncNormalInit{},
       {DType::kBFloat16, DType::kFloat8E4M3FN},
       {DType::kComplex32, DType::kComplex64, DType::kInt8}},
      {OrthogonalInit{},
       {DType::kFloat32, DType::kFloat64},
       {DType::kFloat16, DType::kBFloat16, DType::kComplex64, DType::kInt8,
        DType::kFloat8E5M2}},
      {EyeInit{},
       {DType::kInt64, DType::kBool, DType::kFloat16, DType::kFloat8E5M2},
       {DType::kComplex32, DType::kUint16, DType::kUint32, DType::kUint64}},
      {StoredInit{}, {DType::kInt64, DType::kBool}, {}},
  };
  for (const DTypeCase& c : cases) {
    for (const DType dtype : c.taken) {
      EXPECT_OK(ValidateInitializer(c.initializer, Spec(dtype, {2, 3})));
    }
    for (const DType dtype : c.refused) {
      EXPECT_THAT(ValidateInitializer(c.initializer, Spec(dtype, {2, 3})),
                  StatusIs(absl::StatusCode::kInvalidArgument,
                           HasSubstr(DTypeName(dtype))));
    }
  }
}

}  // namespace
}  // namespace warmstart
