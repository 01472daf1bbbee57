#include "server/planner/adapters/adapt.h"

#include <limits>

#include "gmock/gmock.h"
#include "server/base/error_info.h"
#include "tests/planner/plan_fixture.h"

namespace warmstart::planner {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::warmstart::testing::IsOk;
using ::warmstart::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string Text(const Derivation& value) {
  return DerivationToString(value, [](const SourceOp&) { return "x"; });
}

// What `adapter` makes of a float32 tensor named `key`.
absl::StatusOr<Adaptation> Adapted(const ShapeAdapterKind& adapter,
                                   std::vector<int64_t> from,
                                   std::vector<int64_t> to,
                                   absl::string_view key = "w",
                                   DType dtype = DType::kFloat32) {
  return Adapt(adapter,
               {key, SourceTensor(0, 0, SpecOf({"", std::move(from), dtype})),
                SpecOf({"", std::move(to)}), DType::kFloat32});
}

// Its derivation, or why there is none.
std::string AdaptedText(const ShapeAdapterKind& adapter,
                        std::vector<int64_t> from, std::vector<int64_t> to,
                        absl::string_view key = "w") {
  const auto adaptation = Adapted(adapter, std::move(from), to, key);
  if (!adaptation.ok()) return std::string(adaptation.status().message());
  EXPECT_EQ(adaptation->value->spec.shape(), Shape::Create(to).value());
  return Text(*adaptation->value);
}

TEST(AdaptRowsTest, CommonRowsAreKept) {
  ASSERT_OK_AND_ASSIGN(const Adaptation less,
                       Adapted(RowsAdapter{}, {1000, 8}, {10, 8}));
  EXPECT_EQ(Text(*less.value), "slice(x, dim=0, start=0, length=10)");
  EXPECT_EQ(less.words, "kept 10 of 1000 rows");
  EXPECT_FALSE(less.fresh);

  ASSERT_OK_AND_ASSIGN(const Adaptation more,
                       Adapted(RowsAdapter{}, {10, 8}, {12, 8}));
  EXPECT_EQ(Text(*more.value), "overwrite(fresh, x, at=[0, 0])");
  EXPECT_EQ(more.words, "kept 10 of 10 rows, initialized 2");
  EXPECT_TRUE(more.fresh);
}

TEST(AdaptRowsTest, TheRestCanBeTheMean) {
  RowsAdapter mean;
  mean.rest = RowsAdapter::Rest::kMean;
  ASSERT_OK_AND_ASSIGN(const Adaptation adapted, Adapted(mean, {4}, {6}));
  EXPECT_EQ(Text(*adapted.value),
            "overwrite(expand(mean(x, dim=0), [6]), x, at=[0])");
  EXPECT_FALSE(adapted.fresh);
  EXPECT_THAT(Adapted(mean, {4}, {6}, "w", DType::kInt64),
              StatusIs(kInvalid, HasSubstr("int64")));
}

TEST(AdaptRowsTest, LabelsSayWhichRowIsWhich) {
  RowsAdapter labels;
  labels.source_labels = {"cat", "dog", "cow"};
  labels.target_labels = {"emu", "cow", "cat", "ant"};
  ASSERT_OK_AND_ASSIGN(const Adaptation adapted,
                       Adapted(labels, {3, 5}, {4, 5}));
  EXPECT_EQ(Text(*adapted.value),
            "replace(fresh, select(x, dim=0, [2, 0]), dim=0, [1, 2])");
  EXPECT_EQ(adapted.words, "kept 2 of 3 rows, initialized 2");
  EXPECT_EQ(AdaptedText(labels, {4, 5}, {4, 5}),
            "3 and 4 labels are given for 4 and 4 slices");
  labels.target_labels = {"ox"};
  EXPECT_EQ(AdaptedText(labels, {3}, {1}), "they have no slice in common");
}

TEST(AdaptRowsTest, OtherDimensionsMustAgree) {
  EXPECT_THAT(AdaptedText(RowsAdapter{}, {4, 5}, {4, 6}),
              HasSubstr("more than dimension 0"));
  EXPECT_THAT(AdaptedText(RowsAdapter{.dim = 2}, {4}, {5}),
              HasSubstr("no dimension 2"));
  EXPECT_EQ(AdaptedText(RowsAdapter{.dim = 1}, {2, 5}, {2, 3}),
            "slice(x, dim=1, start=0, length=3)");
}

TEST(AdaptConvolutionTest, InputChannelsAreSummedOrRepeated) {
  const InputChannelsAdapter adapter;
  EXPECT_EQ(AdaptedText(adapter, {64, 3, 7, 7}, {64, 1, 7, 7}),
            "sum(x, dim=1)");
  EXPECT_EQ(AdaptedText(adapter, {64, 3, 7, 7}, {64, 4, 7, 7}),
            "scale(select(x, dim=1, [0, 1, 2, 0]), 0.75)");
  EXPECT_EQ(AdaptedText(adapter, {64, 12, 7, 7}, {64, 4, 7, 7}),
            "reshape(sum(reshape(x, [64, 4, 3, 7, 7]), dim=2), [64, 4, 7, 7])");
  EXPECT_THAT(AdaptedText(adapter, {64, 3, 7, 7}, {32, 1, 7, 7}),
              HasSubstr("input channels alone"));
}

TEST(AdaptConvolutionTest, FlatKernelsAreInflated) {
  EXPECT_EQ(
      AdaptedText(InflateAdapter{}, {8, 3, 5, 5}, {8, 3, 4, 5, 5}),
      "scale(expand(reshape(x, [8, 3, 1, 5, 5]), [8, 3, 4, 5, 5]), 0.25)");
  ASSERT_OK_AND_ASSIGN(const Adaptation centre,
                       Adapted(InflateAdapter{InflateAdapter::Mode::kCenter},
                               {8, 3, 5, 5}, {8, 3, 3, 5, 5}));
  EXPECT_EQ(Text(*centre.value),
            "overwrite(fresh, reshape(x, [8, 3, 1, 5, 5]), "
            "at=[0, 0, 1, 0, 0])");
  EXPECT_EQ(centre.initializer, Initializer(ConstantInit{0}));
  EXPECT_THAT(AdaptedText(InflateAdapter{}, {8, 3, 5, 5}, {8, 3, 4, 5, 6}),
              HasSubstr("new dimension"));
}

TEST(AdaptConvolutionTest, PatchEmbeddingsAreResampled) {
  EXPECT_EQ(
      AdaptedText(PatchEmbeddingAdapter{}, {8, 3, 16, 16}, {8, 3, 14, 14}),
      "resample_patch(x, [14, 14])");
  EXPECT_THAT(
      AdaptedText(PatchEmbeddingAdapter{}, {8, 3, 16, 16}, {8, 1, 14, 14}),
      HasSubstr("patch size alone"));
}

TEST(AdaptPositionTest, TokensBehindThePrefixAreResampled) {
  EXPECT_EQ(
      AdaptedText(PositionEmbeddingAdapter{}, {1, 17, 8}, {1, 26, 8}),
      "concat(cast(slice(x, dim=1, start=0, length=1), float32), "
      "reshape(permute(interpolate(permute(reshape(slice(x, dim=1, start=1, "
      "length=16), [1, 4, 4, 8]), [0, 3, 1, 2]), [5, 5], mode=bicubic, "
      "antialias), [0, 2, 3, 1]), [1, 25, 8]), dim=1)");
  EXPECT_THAT(AdaptedText(PositionEmbeddingAdapter{}, {1, 16, 8}, {1, 25, 8}),
              Not(HasSubstr("concat")));
}

TEST(AdaptPositionTest, GridsThatAreNoSquaresAreGiven) {
  PositionEmbeddingAdapter adapter;
  EXPECT_THAT(AdaptedText(adapter, {1, 9, 8}, {1, 12, 8}),
              HasSubstr("no square grid"));
  adapter.target_grid = {4, 3};
  EXPECT_THAT(AdaptedText(adapter, {1, 9, 8}, {1, 12, 8}),
              HasSubstr("[4, 3], mode=bicubic"));
  EXPECT_THAT(AdaptedText(adapter, {1, 10, 8}, {1, 13, 8}),
              HasSubstr("concat"));
  adapter.prefix_tokens = 2;
  EXPECT_THAT(AdaptedText(adapter, {1, 11, 8}, {1, 14, 8}),
              HasSubstr("start=2, length=9"));
  adapter.source_grid = {2, 4};
  EXPECT_THAT(AdaptedText(adapter, {1, 11, 8}, {1, 14, 8}),
              HasSubstr("2x4 has not 9 positions"));
}

TEST(AdaptPositionTest, MapsAreResampledInEitherLayout) {
  const PositionEmbeddingAdapter adapter;
  EXPECT_THAT(AdaptedText(adapter, {1, 4, 4, 9}, {1, 6, 6, 9}),
              HasSubstr("permute"));
  EXPECT_EQ(AdaptedText(adapter, {1, 9, 4, 4}, {1, 9, 6, 6}),
            "interpolate(x, [6, 6], mode=bicubic, antialias)");
  EXPECT_THAT(AdaptedText(adapter, {1, 4, 4, 4}, {1, 4, 6, 4}),
              HasSubstr("not clear"));
}

TEST(AdaptPositionTest, PositionsInARowAreInterpolated) {
  EXPECT_EQ(AdaptedText(PositionEmbedding1dAdapter{}, {512, 8}, {1024, 8}),
            "reshape(permute(interpolate(permute(reshape(x, [1, 512, 8]), "
            "[0, 2, 1]), [1024], mode=linear), [0, 2, 1]), [1024, 8])");
  EXPECT_THAT(
      AdaptedText(PositionEmbedding1dAdapter{}, {2, 512, 8}, {2, 1024, 8}),
      HasSubstr("[positions, dim]"));
}

// As timm's resize_rel_pos_bias_table from a window of 2 to one of 3: what is
// known is at -1, 0 and 1, and beyond that the outermost is taken.
TEST(AdaptPositionTest, RelativePositionsAreInterpolatedBetweenGeometricOnes) {
  ASSERT_OK_AND_ASSIGN(const Adaptation adapted,
                       Adapted(RelativePositionBiasAdapter{}, {9, 4}, {25, 4}));
  EXPECT_THAT(Text(*adapted.value),
              AllOf(HasSubstr("select(reshape(x, [3, 3, 4]), dim=0, "
                              "[0, 0, 0, 1, 1])"),
                    HasSubstr("select(reshape(x, [3, 3, 4]), dim=0, "
                              "[0, 0, 1, 2, 2])"),
                    HasSubstr("dim=1, [1, 0.5, 0, 0, 0]"),
                    HasSubstr("dim=1, [0, 0.5, 1, 1, 1]")));
  EXPECT_EQ(adapted.words, "interpolated relative positions of 3x3 to 5x5");
}

TEST(AdaptPositionTest, BeitsExtraEntriesAreKept) {
  EXPECT_THAT(AdaptedText(RelativePositionBiasAdapter{}, {12, 4}, {28, 4}),
              HasSubstr("cast(slice(x, dim=0, start=9, length=3), float32)"));
  EXPECT_THAT(AdaptedText(RelativePositionBiasAdapter{}, {16, 4}, {25, 4}),
              HasSubstr("not the relative positions"));
  EXPECT_THAT(
      AdaptedText(RelativePositionBiasAdapter{{2, 2}, {2, 3}}, {9, 4}, {15, 4}),
      HasSubstr("[15, 4]"));
}

TEST(SliceAndPadTest, KeepsTheCorner) {
  EXPECT_EQ(AdaptedText(SliceAndPadAdapter{}, {4, 5}, {6, 3}),
            "overwrite(fresh, slice(x, dim=1, start=0, length=3), at=[0, 0])");
  EXPECT_EQ(AdaptedText(SliceAndPadAdapter{}, {4, 5}, {4, 3}),
            "slice(x, dim=1, start=0, length=3)");
  ASSERT_OK_AND_ASSIGN(const Adaptation filled,
                       Adapted(SliceAndPadAdapter{0.5}, {4}, {6}));
  EXPECT_EQ(filled.initializer, Initializer(ConstantInit{0.5}));
  EXPECT_EQ(filled.words, "kept [4] of [4], the rest 0.5");
  EXPECT_THAT(AdaptedText(SliceAndPadAdapter{}, {4}, {4, 1}),
              HasSubstr("numbers of dimensions"));
}

TEST(AutoAdapterTest, TakesTheFirstThatFitsTheKeyAndTheShapes) {
  const AutoAdapter adapter;
  EXPECT_THAT(
      AdaptedText(adapter, {9, 4}, {25, 4}, "a.relative_position_bias_table"),
      HasSubstr("combine"));
  EXPECT_THAT(AdaptedText(adapter, {1, 17, 8}, {1, 26, 8}, "pos_embed"),
              HasSubstr("bicubic"));
  EXPECT_THAT(AdaptedText(adapter, {8, 3, 16, 16}, {8, 3, 8, 8},
                          "patch_embed.proj.weight"),
              HasSubstr("resample_patch"));
  EXPECT_EQ(AdaptedText(adapter, {8, 3, 7, 7}, {8, 1, 7, 7}), "sum(x, dim=1)");
  EXPECT_THAT(AdaptedText(adapter, {8, 3, 5, 5}, {8, 3, 2, 5, 5}),
              HasSubstr("expand"));
  EXPECT_EQ(AdaptedText(adapter, {9, 4}, {4, 4}),
            "slice(x, dim=0, start=0, length=4)");
  EXPECT_THAT(AdaptedText(adapter, {9, 4}, {4, 5}),
              AllOf(HasSubstr("input_channels:"), HasSubstr("rows:")));
}

class AdapterSetTest : public PlanTest {
 protected:
  AdapterSetTest() {
    SetTarget({{"fc.weight", {12, 3}}, {"fc.bias", {12}}});
    AddSource({{"fc.weight", {10, 3}}, {"fc.bias", {10}}});
  }
};

TEST_F(AdapterSetTest, AnAdapterIsForItsKeys) {
  request_.shape_adapters = {{"*.weight", RowsAdapter{}},
                             {"nothing", RowsAdapter{}}};
  request_.on_shape_mismatch = ShapePolicy::kSkip;
  request_.initializers = {{"fc.weight", ConstantInit{1}}};
  const Plan plan = MakePlanOrDie();
  const TargetReport& weight = Of(plan, "fc.weight");
  EXPECT_EQ(weight.outcome, TargetOutcome::kAdapted);
  EXPECT_EQ(weight.adaptation, "kept 10 of 10 rows, initialized 2");
  EXPECT_EQ(weight.derivation, "overwrite(fresh, fc.weight, at=[0, 0])");
  EXPECT_EQ(weight.initializer, "ones");
  EXPECT_EQ(plan.assignments[0].initializer, Initializer(ConstantInit{1}));
  EXPECT_EQ(Of(plan, "fc.bias").outcome, TargetOutcome::kInitialized);
  EXPECT_THAT(SourceOutcomes(plan),
              ElementsAre(SourceOutcome::kUsed, SourceOutcome::kMismatched));
  EXPECT_THAT(plan.report.notes, ElementsAre(HasSubstr("'nothing'")));
  EXPECT_THAT(plan.report.missing_keys, ElementsAre("fc.bias"));
}

TEST_F(AdapterSetTest, ThePolicyToAdaptIsForAllKeys) {
  request_.on_shape_mismatch = ShapePolicy::kAdapt;
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.verdict, IsOk());
  EXPECT_EQ(Of(plan, "fc.bias").outcome, TargetOutcome::kAdapted);
  EXPECT_THAT(plan.report.missing_keys, IsEmpty());
  EXPECT_THAT(plan.report.mismatched_keys, IsEmpty());
  EXPECT_EQ(plan.report.summary, "<All keys matched successfully>");
}

TEST_F(AdapterSetTest, WhatNoAdapterFitsIsAnErrorThatSaysWhy) {
  SetTarget({{"fc.weight", {12, 4}}, {"fc.bias", {10}}});
  request_.on_shape_mismatch = ShapePolicy::kAdapt;
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.verdict,
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("size mismatch for fc.weight"),
                             HasSubstr("more than dimension 0"))));
  EXPECT_EQ(GetErrorInfo(plan.verdict)->reason, "SHAPE_MISMATCH");
}

TEST_F(AdapterSetTest, LabelsReorderRowsOfEqualShapes) {
  SetTarget({{"fc.weight", {10, 3}}, {"fc.bias", {10}}});
  RowsAdapter labels;
  for (char c = 'a'; c < 'k'; ++c) {
    labels.source_labels.emplace_back(1, c);
    labels.target_labels.emplace(labels.target_labels.begin(), 1, c);
  }
  request_.shape_adapters = {{"fc.weight", labels}};
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(Of(plan, "fc.weight").derivation, HasSubstr("select(fc.weight"));
  EXPECT_EQ(Of(plan, "fc.bias").outcome, TargetOutcome::kMatched);
}

TEST_F(AdapterSetTest, FreshPartsHaveTheDtypeThatIsKept) {
  manifests_[0]->entries[0].spec = SpecOf({"", {10, 3}, DType::kFloat64});
  request_.on_shape_mismatch = ShapePolicy::kAdapt;
  request_.on_dtype_mismatch = DTypePolicy::kKeep;
  const Plan plan = MakePlanOrDie();
  EXPECT_EQ(Of(plan, "fc.weight").derivation,
            "overwrite(cast(fresh, float64), fc.weight, at=[0, 0])");
  EXPECT_EQ(plan.assignments[0].dtype, DType::kFloat64);
}

TEST_F(AdapterSetTest, AdaptersThatCanFitNothingAreRefused) {
  const auto refuses = [&](ShapeAdapterKind kind, const char* field) {
    request_.shape_adapters = {{"*", std::move(kind)}};
    EXPECT_THAT(MakePlan(request_), StatusIs(kInvalid, HasSubstr(field)));
  };
  RowsAdapter rows;
  rows.source_labels = {"a", "a"};
  refuses(rows, "shape_adapters[0].rows");
  rows.target_labels = {"a"};
  refuses(rows, "shape_adapters[0].rows.source_labels");
  refuses(RowsAdapter{.dim = -1}, "rows.dim");
  refuses(PositionEmbeddingAdapter{-1}, "prefix_tokens");
  refuses(PositionEmbeddingAdapter{std::nullopt, {3}}, "source_grid");
  refuses(RelativePositionBiasAdapter{{}, {0, 3}}, "target_window");
  refuses(SliceAndPadAdapter{std::numeric_limits<double>::infinity()}, "fill");
}

}  // namespace
}  // namespace warmstart::planner
