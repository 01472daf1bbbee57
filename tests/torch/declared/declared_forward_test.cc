// What a declared model does with inputs that it does not take.

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/torch/model_architecture.h"
#include "tests/testing/status_matchers.h"
#include "tests/torch/declared/declarations.h"
#include "tests/torch/tensors.h"

namespace warmstart::backend {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::warmstart::testing::StatusIs;

constexpr int64_t kMaxBytes = 1 << 20;

// Owns what a loaded model computes with.
struct Model {
  explicit Model(const std::string& text)
      : architecture(
            MakeDeclaredArchitecture("M", 0, testing::ParseDeclaration(text))
                .value()),
        state(testing::FreshState(*architecture, Device{}, 0).value()) {
    std::vector<StateTensor> tensors;
    for (const OwnedTensor& tensor : state) {
      tensors.push_back({testing::View(tensor), nullptr});
    }
    runnable = architecture->Load(Device{}, tensors).value();
  }

  absl::StatusOr<std::vector<ModelOutput>> Run(
      std::vector<ModelInput> inputs, int64_t max_bytes = kMaxBytes) const {
    return runnable->Forward(inputs, max_bytes);
  }

  std::unique_ptr<ModelArchitecture> architecture;
  std::vector<OwnedTensor> state;
  std::shared_ptr<const RunnableModel> runnable;
};

OwnedTensor Zeros(DType dtype, std::vector<int64_t> sizes) {
  const TensorSpec spec = testing::Spec(dtype, std::move(sizes));
  return {spec, std::string(spec.num_bytes(), '\0')};
}

struct Refusal {
  const char* declaration;
  DType dtype;
  std::vector<int64_t> sizes;
  const char* message;
};

class InputRefusedTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(InputRefusedTest, InWordsOfTheLayer) {
  const Model model(GetParam().declaration);
  const OwnedTensor input = Zeros(GetParam().dtype, GetParam().sizes);
  EXPECT_THAT(model.Run({{"", testing::View(input)}}),
              StatusIs(absl::StatusCode::kInvalidArgument, GetParam().message));
}

constexpr char kLinear[] =
    R"({"type": "Linear", "options": {"in_features": 84, "out_features": 10}})";

INSTANTIATE_TEST_SUITE_P(
    Layers, InputRefusedTest,
    ::testing::Values(
        Refusal{kLinear,
                DType::kFloat32,
                {1, 10},
                "input: Linear takes 84 features in the last dimension, the "
                "input has shape [1, 10]"},
        Refusal{kLinear,
                DType::kFloat64,
                {1, 84},
                "input: Linear takes what its parameters are, float32, the "
                "input is float64"},
        Refusal{R"({"type": "Conv2d", "options": {"in_channels": 3,
                    "out_channels": 1, "kernel_size": 3}})",
                DType::kFloat32,
                {2, 4, 8, 8},
                "input: Conv2d takes a shape of [N, 3, H, W] or [3, H, W], the "
                "input has shape [2, 4, 8, 8]"},
        Refusal{R"({"type": "Embedding", "options": {"num_embeddings": 5,
                    "embedding_dim": 2}})",
                DType::kFloat32,
                {3},
                "input: Embedding takes indices, int64 or int32, the input is "
                "float32"},
        Refusal{R"({"type": "LSTM", "options": {"input_size": 5,
                    "hidden_size": 2}})",
                DType::kFloat32,
                {3, 2, 4},
                "input: LSTM takes 5 features in the last dimension, the input "
                "has shape [3, 2, 4]"},
        Refusal{R"({"type": "LayerNorm", "options":
                    {"normalized_shape": [2, 3]}})",
                DType::kFloat32,
                {5, 2},
                "input: LayerNorm takes 2 x 3 features in the last 2 "
                "dimensions, the input has shape [5, 2]"},
        Refusal{R"({"type": "Sequential", "children": [{"type": "Flatten"},
                    {"type": "Linear", "options": {"in_features": 4,
                     "out_features": 1}}]})",
                DType::kFloat32,
                {1, 5},
                "module.children[1]: Linear takes 4 features in the last "
                "dimension, the input has shape [1, 5]"},
        Refusal{R"({"type": "Sequential", "children": [
                    {"type": "Sequential", "children": [{"type": "Linear",
                     "options": {"in_features": 4, "out_features": 1}}]}]})",
                DType::kFloat32,
                {1, 5},
                "input: Linear takes 4 features in the last dimension, the "
                "input has shape [1, 5]"}));

TEST(DeclaredForwardTest, AnIndexOutsideAnEmbeddingIsRefused) {
  const Model model(R"({"type": "Embedding", "options": {
      "num_embeddings": 5, "embedding_dim": 2}})");
  OwnedTensor input = Zeros(DType::kInt64, {2});
  input.bytes[8] = 5;
  EXPECT_THAT(model.Run({{"", testing::View(input)}}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "input: Embedding has 5 rows, the input names rows 0 to "
                       "5"));
}

TEST(DeclaredForwardTest, InputsAreFoundByNameAndByPosition) {
  const Model model(R"({"type": "GRU", "options": {
      "input_size": 2, "hidden_size": 3}})");
  const OwnedTensor input = testing::Floats({1, 2}, {1, 2});
  const OwnedTensor h = testing::Floats({1, 3}, {1, 2, 3});
  ASSERT_OK_AND_ASSIGN(
      const auto by_position,
      model.Run({{"", testing::View(input)}, {"", testing::View(h)}}));
  ASSERT_OK_AND_ASSIGN(
      const auto by_name,
      model.Run({{"h_0", testing::View(h)}, {"input", testing::View(input)}}));
  ASSERT_EQ(by_position.size(), 2);
  EXPECT_EQ(by_position[0].name, "output");
  EXPECT_EQ(by_position[1].name, "h_n");
  EXPECT_EQ(by_position[0].tensor.bytes, by_name[0].tensor.bytes);
  EXPECT_EQ(by_position[1].tensor.bytes, by_name[1].tensor.bytes);
}

TEST(DeclaredForwardTest, WrongNamesAndNumbersOfInputsAreRefused) {
  const Model model(R"({"type": "GRU", "options": {
      "input_size": 2, "hidden_size": 3}})");
  const OwnedTensor owned = testing::Floats({1, 2}, {1, 2});
  const HostTensor x = testing::View(owned);
  const std::string takes =
      "; the model takes 'input', 'h_0' (may be left out)";
  const auto refused = [&](const std::string& problem) {
    return StatusIs(absl::StatusCode::kInvalidArgument, problem + takes);
  };
  EXPECT_THAT(model.Run({}), refused("the input 'input' is missing"));
  EXPECT_THAT(model.Run({{"h_0", x}}), refused("the input 'input' is missing"));
  EXPECT_THAT(model.Run({{"x", x}}), refused("there is no input 'x'"));
  EXPECT_THAT(model.Run({{"input", x}, {"input", x}}),
              refused("the input 'input' is there twice"));
  EXPECT_THAT(model.Run({{"", x}, {"h_0", x}}),
              refused("some inputs have a name and some have none"));
  EXPECT_THAT(model.Run({{"", x}, {"", x}, {"", x}}),
              refused("there are 3 inputs"));
}

TEST(DeclaredForwardTest, OutputsBeyondTheLimitAreRefused) {
  const Model model(kLinear);
  const OwnedTensor input = Zeros(DType::kFloat32, {3, 84});
  EXPECT_OK(model.Run({{"", testing::View(input)}}, 120));
  EXPECT_THAT(model.Run({{"", testing::View(input)}}, 119),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       StartsWith("the outputs take 120 bytes, at most 119")));
}

TEST(DeclaredForwardTest, WhatTakesMoreMemoryThanThereIsLeavesTheModelHealthy) {
  const Model model(R"({"type": "Sequential", "children": [
      {"type": "PReLU"}, {"type": "Upsample", "options": {"size": 1e9}}]})");
  const OwnedTensor large = Zeros(DType::kFloat32, {1, 1000000, 1});
  EXPECT_THAT(model.Run({{"", testing::View(large)}}),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("module.children[1]: ")));
  EXPECT_OK(Model(kLinear).Run(
      {{"", testing::View(Zeros(DType::kFloat32, {1, 84}))}}));
}

TEST(DeclaredForwardTest, NonFiniteValuesAreCounted) {
  const Model model(R"({"type": "Sequential", "children": [
      {"type": "PReLU"}, {"type": "Threshold",
       "options": {"threshold": 1, "value": 0}}]})");
  const float inf = std::numeric_limits<float>::infinity();
  const OwnedTensor input = testing::Floats({4}, {inf, 2, -inf, inf});
  ASSERT_OK_AND_ASSIGN(const auto outputs,
                       model.Run({{"", testing::View(input)}}));
  EXPECT_EQ(outputs[0].num_non_finite, 2);
}

}  // namespace
}  // namespace warmstart::backend
