// What is refused, and in which words; what a declaration costs.

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/torch/model_architecture.h"
#include "tests/testing/status_matchers.h"
#include "tests/torch/declared/declarations.h"
#include "tests/torch/tensors.h"

namespace warmstart::backend {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::warmstart::testing::StatusIs;

absl::StatusOr<std::unique_ptr<ModelArchitecture>> Declare(
    const std::string& text) {
  return MakeDeclaredArchitecture("M", 0, testing::ParseDeclaration(text));
}

struct Refusal {
  const char* declaration;
  const char* message;
};

class DeclarationRefusedTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(DeclarationRefusedTest, SaysWhereAndWhy) {
  EXPECT_THAT(Declare(GetParam().declaration),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith(GetParam().message)));
}

INSTANTIATE_TEST_SUITE_P(
    Options, DeclarationRefusedTest,
    ::testing::Values(
        Refusal{R"({"type": "Linear", "options": {"in_features": 3}})",
                "module.options.out_features: is missing; Linear needs it"},
        Refusal{R"({"type": "Linear",
                    "options": {"in_features": 0, "out_features": 1}})",
                "module.options.in_features: must be at least 1, is 0"},
        Refusal{R"({"type": "Linear",
                    "options": {"in_features": 1.5, "out_features": 1}})",
                "module.options.in_features: must be a whole number, is 1.5"},
        Refusal{R"({"type": "Linear",
                    "options": {"in_features": "3", "out_features": 1}})",
                "module.options.in_features: must be a whole number, is '3'"},
        Refusal{R"({"type": "Linear",
                    "options": {"in_features": 1e300, "out_features": 1}})",
                "module.options.in_features: must be at most"},
        Refusal{R"({"type": "Linear", "options": {
                    "in_features": 3, "out_features": 1, "bias": null}})",
                "module.options.bias: must be a flag, is None"},
        Refusal{R"({"type": "Linear", "options": {
                    "in_features": 3, "out_features": 1, "device": "cpu"}})",
                "module.options.device: is chosen when the model is loaded"},
        Refusal{R"({"type": "Linear", "options": {
                    "in_features": 3, "out_features": 1, "dtype": "int64"}})",
                "module.options.dtype: must be one of 'float16'"},
        Refusal{R"({"type": "Linear", "options": {
                    "in_features": 3, "out_features": 1, "depth": 2}})",
                "module.options.depth: is no option of Linear; they are "
                "in_features, out_features, bias, dtype"},
        Refusal{R"({"type": "Tanh", "options": {"inplace": true}})",
                "module.options.inplace: Tanh takes no options"},
        Refusal{R"({"type": "Conv2d", "options": {"in_channels": 3,
                    "out_channels": 4, "kernel_size": [3, 3, 3]}})",
                "module.options.kernel_size: must be a number or a list of 2, "
                "is a list of 3"},
        Refusal{R"({"type": "Conv2d", "options": {"in_channels": 3,
                    "out_channels": 4, "kernel_size": 3, "groups": 2}})",
                "module.options.groups: must divide in_channels, which is 3"},
        Refusal{R"({"type": "Conv1d", "options": {"in_channels": 3,
                    "out_channels": 4, "kernel_size": 3, "stride": 2,
                    "padding": "same"}})",
                "module.options.padding: 'same' is not supported for strided"},
        Refusal{R"({"type": "Conv1d", "options": {"in_channels": 3,
                    "out_channels": 4, "kernel_size": 3,
                    "padding_mode": "mirror"}})",
                "module.options.padding_mode: must be one of 'zeros', "
                "'reflect', 'replicate', 'circular', is 'mirror'"},
        Refusal{R"({"type": "Embedding", "options": {"num_embeddings": 3,
                    "embedding_dim": 4, "padding_idx": 3}})",
                "module.options.padding_idx: must be within num_embeddings"},
        Refusal{R"({"type": "Embedding", "options": {"num_embeddings": 3,
                    "embedding_dim": 4, "max_norm": 1}})",
                "module.options.max_norm: is not supported"},
        Refusal{R"({"type": "MultiheadAttention",
                    "options": {"embed_dim": 10, "num_heads": 3}})",
                "module.options.num_heads: must divide embed_dim"},
        Refusal{R"({"type": "LSTM", "options": {"input_size": 3,
                    "hidden_size": 4, "proj_size": 4}})",
                "module.options.proj_size: must be at least 0 and below"},
        Refusal{R"({"type": "LSTM", "options": {"input_size": 3,
                    "hidden_size": 4, "num_layers": 1e9}})",
                "module.options.num_layers: must be at most 1024"},
        Refusal{R"({"type": "Dropout", "options": {"p": 2}})",
                "module.options.p: must be in [0, 1], is 2"}));

INSTANTIATE_TEST_SUITE_P(
    Modules, DeclarationRefusedTest,
    ::testing::Values(
        Refusal{R"({"type": "Sequential", "children": [
                    {"type": "ReLU"}, {"type": "Conv4d"}]})",
                "module.children[1].type: 'Conv4d' is not known; the types are "
                "AdaptiveAvgPool1d, "},
        Refusal{R"({"type": "Sequential", "children": [{"type": "ReLU"},
                    {"type": "Sequential", "children": [{"type": "MaxPool2d",
                     "options": {"kernel_size": 0}}]}]})",
                "module.children[1].children[0].options.kernel_size: must be "
                "at least 1, is 0"},
        Refusal{R"({"type": "ReLU", "children": [{"type": "ReLU"}]})",
                "module.children: ReLU is declared without"},
        Refusal{R"({"type": "Sequential", "children": [
                    {"type": "ReLU", "name": "a.b"}]})",
                "module.children[0].name: 'a.b' has a dot"},
        Refusal{R"({"type": "Sequential", "children": [
                    {"type": "ReLU", "name": "1"}, {"type": "ReLU"}]})",
                "module.children[1].name: '1' is there already"},
        Refusal{R"({"type": "Sequential", "children": [{"type": "Bilinear",
                    "options": {"in1_features": 1, "in2_features": 1,
                                "out_features": 1}}]})",
                "module.children[0].type: Bilinear takes 2 inputs"},
        Refusal{R"({"type": "TransformerEncoder",
                    "options": {"num_layers": 2}})",
                "module.children: must be a TransformerEncoderLayer"},
        Refusal{R"({"type": "TransformerEncoder", "options": {"num_layers": 2},
                    "children": [{"type": "TransformerEncoderLayer",
                     "options": {"d_model": 3, "nhead": 2}}]})",
                "module.children[0].options.nhead: must divide d_model"},
        Refusal{R"({"type": "Linear", "options": {"in_features": 1e12,
                    "out_features": 1e12}})",
                "module: weight: "},
        Refusal{R"({"type": "ReLU"})", ""}));

TEST(DeclaredArchitectureTest, DeeperNestingThanTheLimitIsRefused) {
  std::string text = R"({"type": "ReLU"})";
  for (int i = 0; i < 64; ++i) {
    text = absl::StrCat(R"({"type": "Sequential", "children": [)", text, "]}");
  }
  EXPECT_THAT(Declare(text), StatusIs(absl::StatusCode::kInvalidArgument,
                                      HasSubstr("is nested deeper than 64")));
}

// Would not fit in the memory of this machine, were any of it allocated.
TEST(DeclaredArchitectureTest, AHugeLayerCostsNothingUntilItIsLoaded) {
  ASSERT_OK_AND_ASSIGN(const auto made,
                       Declare(R"({"type": "Sequential", "children": [
          {"type": "Linear",
           "options": {"in_features": 1e9, "out_features": 1e9}},
          {"type": "LSTM", "options": {"input_size": 1e6, "hidden_size": 1e6,
                                       "num_layers": 1000}}]})"));
  EXPECT_EQ(made->schema().entries[0].spec,
            testing::Spec(DType::kFloat32, {1000000000, 1000000000}));
  EXPECT_EQ(made->schema().entries.size(), 2 + 4 * 1000);
}

TEST(DeclaredArchitectureTest, AModelOfMoreBytesThanCanBeCountedIsRefused) {
  std::string child = R"({"type": "Linear", "options":
                      {"in_features": 1e9, "out_features": 1e9}})";
  std::string children = child;
  for (int i = 0; i < 3; ++i) absl::StrAppend(&children, ", ", child);
  EXPECT_THAT(Declare(absl::StrCat(R"({"type": "Sequential", "children": [)",
                                   children, "]}")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(StartsWith("module.children["),
                             HasSubstr("the model's bytes exceed 64 bits"))));
}

TEST(DeclaredArchitectureTest, AModelOfTooManyTensorsIsRefused) {
  const std::string child = R"({"type": "LSTM", "options": {
      "input_size": 1, "hidden_size": 1, "num_layers": 1024,
      "bidirectional": true}})";
  std::string children = child;
  for (int i = 0; i < 200; ++i) absl::StrAppend(&children, ", ", child);
  EXPECT_THAT(Declare(absl::StrCat(R"({"type": "Sequential", "children": [)",
                                   children, "]}")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("the model has more than 1048576 tensors")));
}

TEST(DeclaredArchitectureTest, TheDeclarationIsKept) {
  const std::string text = R"({"type": "Linear", "options": {
      "in_features": 3, "out_features": 2}})";
  ASSERT_OK_AND_ASSIGN(const auto made, Declare(text));
  EXPECT_EQ(made->schema().name, "M");
  EXPECT_EQ(made->schema().module, testing::ParseDeclaration(text));
  EXPECT_TRUE(made->has_forward());
}

}  // namespace
}  // namespace warmstart::backend
