#include "server/model/derivation.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::warmstart::testing::IsOk;
using ::warmstart::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TensorSpec Spec(std::vector<int64_t> sizes, DType dtype = DType::kFloat32) {
  return TensorSpec::Create(dtype, Shape::Create(std::move(sizes)).value())
      .value();
}

Shape Of(std::vector<int64_t> sizes) {
  return Shape::Create(std::move(sizes)).value();
}

// A new source tensor each time.
DerivationPtr Leaf(std::vector<int64_t> sizes, DType dtype = DType::kFloat32) {
  static int64_t entry = 0;
  return SourceTensor(0, entry++, Spec(std::move(sizes), dtype));
}

// "float32 [2, 3]", or why it cannot be.
std::string Result(TensorOp op, std::vector<DerivationPtr> operands) {
  const auto derived = Derive(std::move(op), std::move(operands));
  if (derived.ok()) return (*derived)->spec.ToString();
  EXPECT_EQ(derived.status().code(), kInvalid);
  return std::string(derived.status().message());
}

TEST(DerivationTest, LeavesAreNotDerived) {
  EXPECT_THAT(Result(SourceOp{}, {}), HasSubstr("source: is a leaf"));
  EXPECT_THAT(Result(FreshOp{}, {}), HasSubstr("fresh: is a leaf"));
}

TEST(DerivationTest, MovesKeepTheDtype) {
  const DerivationPtr x = Leaf({2, 3, 4}, DType::kInt64);
  EXPECT_EQ(Result(PermuteOp{{2, 0, 1}}, {x}), "int64 [4, 2, 3]");
  EXPECT_EQ(Result(ReshapeOp{Of({6, 4})}, {x}), "int64 [6, 4]");
  EXPECT_EQ(Result(SliceOp{1, 1, 2}, {x}), "int64 [2, 2, 4]");
  EXPECT_EQ(Result(SliceOp{1, 3, 0}, {x}), "int64 [2, 0, 4]");
  EXPECT_EQ(Result(SelectOp{2, {3, 3, 0, 1, 2}}, {x}), "int64 [2, 3, 5]");
  EXPECT_EQ(Result(ExpandOp{Of({5, 3})}, {Leaf({1, 3})}), "float32 [5, 3]");
  EXPECT_EQ(Result(ConcatOp{1}, {Leaf({2, 3}), Leaf({2, 5})}),
            "float32 [2, 8]");
  EXPECT_EQ(Result(OverwriteOp{{1, 0}},
                   {Leaf({3, 3}, DType::kFloat16), Leaf({2, 3})}),
            "float16 [3, 3]");
  EXPECT_EQ(Result(ReplaceOp{0, {2, 0}}, {Leaf({3, 3}), Leaf({2, 3})}),
            "float32 [3, 3]");
}

TEST(DerivationTest, MovesThatDoNotFitAreRefused) {
  const DerivationPtr x = Leaf({2, 3});
  EXPECT_THAT(Result(PermuteOp{{0, 0}}, {x}), HasSubstr("no order"));
  EXPECT_THAT(Result(PermuteOp{{0}}, {x}), HasSubstr("no order"));
  EXPECT_THAT(Result(ReshapeOp{Of({5})}, {x}), HasSubstr("another number"));
  EXPECT_THAT(Result(SliceOp{0, 1, 2}, {x}), HasSubstr("not within"));
  EXPECT_THAT(Result(SliceOp{0, 1, std::numeric_limits<int64_t>::max()}, {x}),
              HasSubstr("not within"));
  EXPECT_THAT(Result(SliceOp{2, 0, 1}, {x}), HasSubstr("no dimension 2"));
  EXPECT_THAT(Result(SliceOp{-1, 0, 1}, {x}), HasSubstr("no dimension -1"));
  EXPECT_THAT(Result(SelectOp{1, {3}}, {x}), HasSubstr("there is no 3"));
  EXPECT_THAT(Result(SelectOp{1, {-1}}, {x}), HasSubstr("there is no -1"));
  EXPECT_THAT(Result(ExpandOp{Of({4, 3})}, {x}), HasSubstr("cannot become"));
  EXPECT_THAT(Result(ConcatOp{0}, {}), HasSubstr("nothing to join"));
  EXPECT_THAT(Result(ConcatOp{0}, {x, Leaf({2, 4})}), HasSubstr("differ in"));
  EXPECT_THAT(Result(ConcatOp{0}, {x, Leaf({3})}), HasSubstr("differ in"));
  EXPECT_THAT(Result(ConcatOp{0}, {x, Leaf({2, 3}, DType::kFloat16)}),
              HasSubstr("dtypes differ"));
  EXPECT_THAT(Result(OverwriteOp{{1, 0}}, {x, x}), HasSubstr("not within"));
  EXPECT_THAT(Result(OverwriteOp{{0}}, {x, x}), HasSubstr("not within"));
  EXPECT_THAT(Result(ReplaceOp{0, {1}}, {x, x}), HasSubstr("do not fit"));
  EXPECT_THAT(Result(ReplaceOp{0, {1, 1}}, {x, x}), HasSubstr("twice"));
  EXPECT_THAT(Result(ReplaceOp{0, {0, 2}}, {x, x}), HasSubstr("there is no 2"));
}

TEST(DerivationTest, ArithmeticIsDoneInFloat32OrBetter) {
  const DerivationPtr half = Leaf({2, 3}, DType::kFloat16);
  const DerivationPtr wide = Leaf({2, 3}, DType::kFloat64);
  const DerivationPtr complex = Leaf({2, 3}, DType::kComplex64);
  EXPECT_EQ(Result(ScaleOp{2}, {half}), "float32 [2, 3]");
  EXPECT_EQ(Result(ScaleOp{2}, {wide}), "float64 [2, 3]");
  EXPECT_EQ(Result(ScaleAlongOp{0, {1, 2}}, {complex}), "complex64 [2, 3]");
  EXPECT_EQ(Result(SumOp{0}, {half}), "float32 [1, 3]");
  EXPECT_EQ(Result(MeanOp{1}, {half}), "float32 [2, 1]");
  EXPECT_EQ(Result(LinearCombinationOp{{1, 1}}, {half, wide}),
            "float64 [2, 3]");
  EXPECT_EQ(Result(LinearCombinationOp{{1, 1}}, {complex, wide}),
            "complex128 [2, 3]");
  EXPECT_EQ(Result(SlerpOp{0.5}, {half, half}), "float32 [2, 3]");
  EXPECT_EQ(Result(MatMulOp{}, {half, Leaf({3, 5})}), "float32 [2, 5]");
  EXPECT_EQ(Result(CastOp{DType::kBFloat16}, {half}), "bfloat16 [2, 3]");
}

TEST(DerivationTest, ArithmeticThatDoesNotFitIsRefused) {
  const DerivationPtr x = Leaf({2, 3});
  const DerivationPtr complex = Leaf({2, 3}, DType::kComplex64);
  EXPECT_THAT(Result(ScaleOp{kInfinity}, {x}), HasSubstr("not finite"));
  EXPECT_THAT(Result(ScaleOp{1}, {x, x}), HasSubstr("takes 1 tensors, not 2"));
  EXPECT_THAT(Result(ScaleAlongOp{0, {1}}, {x}), HasSubstr("1 factors"));
  EXPECT_THAT(Result(SumOp{2}, {x}), HasSubstr("no dimension 2"));
  EXPECT_THAT(Result(MeanOp{0}, {}), HasSubstr("takes 1 tensors, not 0"));
  EXPECT_THAT(Result(LinearCombinationOp{{1}}, {x, x}),
              HasSubstr("1 weights for 2 tensors"));
  EXPECT_THAT(Result(LinearCombinationOp{}, {}), HasSubstr("0 weights"));
  EXPECT_THAT(Result(LinearCombinationOp{{kInfinity}}, {x}),
              HasSubstr("not finite"));
  EXPECT_THAT(Result(LinearCombinationOp{{1, 1}}, {x, Leaf({3, 2})}),
              HasSubstr("shapes differ"));
  EXPECT_THAT(Result(SlerpOp{0.5}, {x}), HasSubstr("takes 2 tensors"));
  EXPECT_THAT(Result(SlerpOp{0.5}, {x, complex}), HasSubstr("complex"));
  EXPECT_THAT(Result(SlerpOp{kInfinity}, {x, x}), HasSubstr("not finite"));
  EXPECT_THAT(Result(MatMulOp{}, {x, x}), HasSubstr("cannot be multiplied"));
  EXPECT_THAT(Result(CastOp{}, {}), HasSubstr("takes 1 tensors, not 0"));
}

TEST(DerivationTest, InterpolationIsOfSpatialDimensions) {
  InterpolateOp cubic;
  cubic.sizes = {5, 6};
  cubic.antialias = true;
  EXPECT_EQ(Result(cubic, {Leaf({1, 8, 3, 4})}), "float32 [1, 8, 5, 6]");
  EXPECT_THAT(Result(cubic, {Leaf({8, 3, 4})}), HasSubstr("spatial"));
  EXPECT_THAT(Result(cubic, {Leaf({1, 8, 0, 4})}), HasSubstr("below 1"));
  EXPECT_THAT(Result(cubic, {Leaf({1, 8, 3, 4}, DType::kComplex64)}),
              HasSubstr("complex"));
  InterpolateOp linear;
  linear.mode = InterpolateOp::Mode::kLinear;
  linear.sizes = {7};
  EXPECT_EQ(Result(linear, {Leaf({1, 8, 3})}), "float32 [1, 8, 7]");
  linear.antialias = true;
  EXPECT_THAT(Result(linear, {Leaf({1, 8, 3})}), HasSubstr("antialiasing"));
  EXPECT_EQ(Result(ResamplePatchOp{4, 5}, {Leaf({8, 3, 2, 2})}),
            "float32 [8, 3, 4, 5]");
  EXPECT_THAT(Result(ResamplePatchOp{0, 5}, {Leaf({8, 3, 2, 2})}),
              HasSubstr("no patch embedding"));
}

TEST(DerivationTest, ATreeIsWrittenAsCalls) {
  const DerivationPtr q = SourceTensor(0, 1, Spec({2, 3}));
  const DerivationPtr k = SourceTensor(1, 2, Spec({3, 2}));
  ASSERT_OK_AND_ASSIGN(DerivationPtr value, Derive(PermuteOp{{1, 0}}, {k}));
  ASSERT_OK_AND_ASSIGN(value, Derive(ConcatOp{0}, {q, value, q}));
  const auto name = [](const SourceOp& source) {
    return absl::StrCat("s", source.source, "e", source.entry);
  };
  EXPECT_EQ(DerivationToString(*value, name),
            "concat(s0e1, permute(s1e2, [1, 0]), s0e1, dim=0)");
  EXPECT_THAT(SourcesOf(*value), ElementsAre(SourceOp{0, 1}, SourceOp{1, 2}));
  EXPECT_FALSE(IsArithmetic(*value));
  EXPECT_EQ(AsSourceTensor(*value), nullptr);
  EXPECT_EQ(*AsSourceTensor(*q), (SourceOp{0, 1}));
  ASSERT_OK_AND_ASSIGN(value, Derive(SumOp{0}, {value}));
  EXPECT_TRUE(IsArithmetic(*value));
  EXPECT_EQ(value->depth, 4);
  EXPECT_EQ(OpName(SumOp{}), "sum");
  EXPECT_EQ(OpArguments(SumOp{3}), "dim=3");
}

// A tree that doubles with each node has more nodes than there is memory.
TEST(DerivationTest, SharedNodesAreNotWalkedAgainAndTheTextIsCut) {
  DerivationPtr value = Leaf({1, 0});
  for (int i = 0; i < 100; ++i) {
    ASSERT_OK_AND_ASSIGN(value, Derive(ConcatOp{1}, {value, value}));
  }
  EXPECT_THAT(SourcesOf(*value), SizeIs(1));
  EXPECT_FALSE(IsArithmetic(*value));
  const std::string text = DerivationToString(
      *value, [](const SourceOp&) { return std::string("\u00e4"); });
  EXPECT_LE(text.size(), kMaxDerivationText + 3);
  EXPECT_THAT(text, EndsWith("..."));
}

TEST(DerivationTest, LongListsAreShortened) {
  EXPECT_EQ(OpArguments(SelectOp{0, {0, 1, 2, 3, 4, 5, 6, 7, 8}}),
            "dim=0, [0, 1, 2, 3, 4, 5, 6, 7, ... 9 in all]");
}

TEST(DerivationTest, TheDepthIsLimited) {
  DerivationPtr value = Leaf({2});
  while (value->depth < kMaxDerivationDepth) {
    ASSERT_OK_AND_ASSIGN(value, Derive(ScaleOp{1}, {value}));
  }
  EXPECT_THAT(Derive(ScaleOp{1}, {value}),
              StatusIs(kInvalid, HasSubstr("200 operations")));
}

TEST(DerivationTest, SizesThatOverflowAreRefused) {
  EXPECT_THAT(Result(ExpandOp{Of({int64_t{1} << 61})}, {Leaf({1})}),
              HasSubstr("overflow"));
  const DerivationPtr large = Leaf({int64_t{1} << 62}, DType::kInt8);
  EXPECT_THAT(Result(ConcatOp{0}, {large, large}), HasSubstr("too large"));
  EXPECT_THAT(Result(CastOp{DType::kFloat32}, {large}), HasSubstr("overflow"));
}

}  // namespace
}  // namespace warmstart
