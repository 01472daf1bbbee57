#include "server/planner/combining/lora.h"

#include "gmock/gmock.h"
#include "server/base/error_info.h"
#include "tests/planner/plan_fixture.h"

namespace warmstart::planner {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::warmstart::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class LoraTest : public PlanTest {
 protected:
  LoraTest() {
    SetTarget({{"fc.weight", {4, 3}}, {"fc.bias", {4}}});
    AddSource({{"fc.weight", {4, 3}}, {"fc.bias", {4}}});
  }

  // An adapter of rank 2 and alpha 8, whose scaling is 4.
  void AddAdapter(const std::vector<Tensor>& tensors, bool rslora = false) {
    AddSource(tensors).lora = LoraAdapter{8, rslora};
  }
};

TEST_F(LoraTest, ALinearLayersWeightGetsTheScaledProduct) {
  AddAdapter({{"base_model.model.fc.lora_A.weight", {2, 3}},
              {"base_model.model.fc.lora_B.weight", {4, 2}}});
  const Plan plan = MakePlanOrDie();
  const TargetReport& entry = Of(plan, "fc.weight");
  EXPECT_EQ(entry.outcome, TargetOutcome::kAveraged);
  EXPECT_EQ(entry.derivation,
            "combine(sources[0]:fc.weight, scale(matmul("
            "sources[1]:base_model.model.fc.lora_B.weight, "
            "sources[1]:base_model.model.fc.lora_A.weight), 4), [1, 1])");
  EXPECT_EQ(Of(plan, "fc.bias").outcome, TargetOutcome::kMatched);
  EXPECT_THAT(plan.report.unexpected_keys, IsEmpty());
  EXPECT_THAT(SourceOutcomes(plan), Each(SourceOutcome::kUsed));
}

TEST_F(LoraTest, TheAdaptersNameAndRslorasScalingAreUnderstood) {
  AddAdapter({{"fc.lora_A.default.weight", {4, 3}},
              {"fc.lora_B.default.weight", {4, 4}}},
             /*rslora=*/true);
  EXPECT_THAT(Of(MakePlanOrDie(), "fc.weight").derivation,
              HasSubstr("lora_A.default.weight), 4)"));
}

TEST_F(LoraTest, TheBiasOfBIsAddedToo) {
  AddAdapter({{"fc.lora_A.weight", {2, 3}},
              {"fc.lora_B.weight", {4, 2}},
              {"fc.lora_B.bias", {4}}});
  EXPECT_EQ(Of(MakePlanOrDie(), "fc.bias").derivation,
            "combine(sources[0]:fc.bias, scale(sources[1]:fc.lora_B.bias, 4), "
            "[1, 1])");
}

TEST_F(LoraTest, WeightsThatAreThereWholeReplaceTheBases) {
  AddAdapter({{"base_model.model.fc.modules_to_save.default.weight", {4, 3}},
              {"base_model.model.fc.base_layer.bias", {4}},
              {"base_model.model.other.weight", {1}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_EQ(LoadedFrom(plan.assignments[0]), (SourceOp{1, 0}));
  EXPECT_EQ(LoadedFrom(plan.assignments[1]), (SourceOp{1, 1}));
  EXPECT_THAT(plan.report.unexpected_keys,
              ElementsAre("base_model.model.other.weight"));
  EXPECT_EQ(plan.report.source_entries[0].outcome, SourceOutcome::kShadowed);
}

TEST_F(LoraTest, EmbeddingsAndConv1DsAreTransposed) {
  SetTarget({{"wte.weight", {10, 3}}, {"attn.weight", {3, 9}}});
  request_.sources.clear();
  AddSource({{"wte.weight", {10, 3}}, {"attn.weight", {3, 9}}});
  AddAdapter({{"wte.lora_embedding_A", {2, 10}},
              {"wte.lora_embedding_B", {3, 2}},
              {"attn.lora_A.weight", {2, 3}},
              {"attn.lora_B.weight", {9, 2}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(Of(plan, "wte.weight").derivation, HasSubstr("permute(matmul("));
  EXPECT_THAT(Of(plan, "attn.weight").derivation, HasSubstr("permute(matmul("));
}

TEST_F(LoraTest, SquareWeightsAreStoredAsTheOthers) {
  SetTarget({{"attn.weight", {3, 9}}, {"proj.weight", {3, 3}}});
  request_.sources.clear();
  AddSource({{"attn.weight", {3, 9}}, {"proj.weight", {3, 3}}});
  AddAdapter({{"attn.lora_A.weight", {2, 3}},
              {"attn.lora_B.weight", {9, 2}},
              {"proj.lora_A.weight", {2, 3}},
              {"proj.lora_B.weight", {3, 2}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(Of(plan, "proj.weight").derivation, HasSubstr("permute(matmul("));
  EXPECT_THAT(plan.report.notes,
              Contains(AllOf(HasSubstr("1 square"), HasSubstr("[in, out]"))));
}

TEST_F(LoraTest, AConvolutionsPairIsMultipliedFlat) {
  SetTarget({{"conv.weight", {8, 3, 5, 5}}});
  request_.sources.clear();
  AddSource({{"conv.weight", {8, 3, 5, 5}}});
  AddAdapter({{"conv.lora_A.weight", {2, 3, 5, 5}},
              {"conv.lora_B.weight", {8, 2, 1, 1}}});
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(Of(plan, "conv.weight").derivation,
              AllOf(HasSubstr("lora_B.weight, [8, 2])"),
                    HasSubstr("lora_A.weight, [2, 75])"),
                    HasSubstr("[8, 3, 5, 5]), 4)")));
}

TEST_F(LoraTest, AnAdapterMergesIntoACombination) {
  AddSource({{"fc.weight", {4, 3}}, {"fc.bias", {4}}});
  AddAdapter({{"fc.lora_A.weight", {2, 3}}, {"fc.lora_B.weight", {4, 2}}});
  request_.combination = WeightedAverage{};
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(Of(plan, "fc.weight").derivation,
              HasSubstr("combine(combine(sources[0]:fc.weight, "
                        "sources[1]:fc.weight, [0.5, 0.5]), scale("));
  EXPECT_THAT(plan.report.notes, IsEmpty());
}

TEST_F(LoraTest, WhatCannotBeMergedIsAnErrorThatNamesIt) {
  const auto refuses = [&](const std::vector<Tensor>& tensors, const char* key,
                           const char* problem) {
    AddAdapter(tensors);
    const auto plan = MakePlan(request_);
    EXPECT_THAT(plan,
                StatusIs(kInvalid, AllOf(HasSubstr(key), HasSubstr(problem),
                                         HasSubstr("sources[1].lora"))));
    request_.sources.pop_back();
  };
  refuses({{"fc.lora_A.weight", {2, 3}}}, "fc.lora_A.weight", "half of a pair");
  refuses({{"fc.lora_B.weight", {4, 2}}}, "fc.lora_B.weight", "half of a pair");
  refuses({{"x.lora_A.weight", {2, 3}}, {"x.lora_B.weight", {4, 2}}},
          "x.lora_A.weight", "x.weight");
  refuses({{"fc.lora_A.weight", {2, 3}}, {"fc.lora_B.weight", {4, 1}}},
          "fc.lora_A.weight", "rank");
  refuses({{"fc.lora_A.weight", {2, 7}}, {"fc.lora_B.weight", {4, 2}}},
          "fc.lora_A.weight", "[4, 3]");
  refuses({{"fc.lora_magnitude_vector", {4}}}, "fc.lora_magnitude_vector",
          "cannot be merged");
  refuses({{"fc.lora_A.a.weight", {2, 3}}, {"fc.lora_A.b.weight", {2, 3}}},
          "fc.lora_A.b.weight", "twice");
}

}  // namespace
}  // namespace warmstart::planner
