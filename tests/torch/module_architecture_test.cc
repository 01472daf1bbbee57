#include "server/torch/module_architecture.h"

#include <ATen/Functions.h>
#include <torch/nn/modules/linear.h>

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/torch/read_only_page.h"
#include "tests/torch/tensors.h"

namespace warmstart::backend {
namespace {

using ::testing::ElementsAre;

// Modules in modules, a layer without a bias, and a forward that would show a
// state bound in the wrong order.
class Inner : public torch::nn::Module {
 public:
  torch::nn::Linear scale = register_module(
      "scale", torch::nn::Linear(torch::nn::LinearOptions(2, 2).bias(false)));
};

class Outer : public Network {
 public:
  at::Tensor forward(at::Tensor input) override {
    return shift->forward(inner->scale->forward(input));
  }

 private:
  std::shared_ptr<Inner> inner =
      register_module("inner", std::make_shared<Inner>());
  torch::nn::Linear shift = register_module("shift", torch::nn::Linear(2, 1));
};

std::unique_ptr<ModelArchitecture> MakeOuter() {
  return MakeModuleArchitecture("Outer", []() -> std::shared_ptr<Network> {
    return std::make_shared<Outer>();
  });
}

ArchitectureEntry Parameter(std::string key, std::vector<int64_t> sizes,
                            Initializer initializer) {
  return {std::move(key), testing::Spec(DType::kFloat32, std::move(sizes)),
          EntryKind::kParameter, initializer};
}

TEST(ModuleArchitectureTest, SchemaIsReadOffTheModule) {
  EXPECT_THAT(
      MakeOuter()->schema().entries,
      ElementsAre(Parameter("inner.scale.weight", {2, 2}, KaimingUniformInit{}),
                  Parameter("shift.weight", {1, 2}, KaimingUniformInit{}),
                  Parameter("shift.bias", {1}, FanInUniformInit{2})));
  EXPECT_THAT(
      MakeOuter()->schema().modules,
      ElementsAre(ModuleVersion{"", 1}, ModuleVersion{"inner", 1},
                  ModuleVersion{"inner.scale", 1}, ModuleVersion{"shift", 1}));
}

// What decides between this server and Python is the constructor: the draws
// from the schema must be the ones that it makes.
TEST(ModuleArchitectureTest, FreshValuesAreThoseOfTheConstructor) {
  at::manual_seed(11);
  const Outer constructed;
  ASSERT_OK_AND_ASSIGN(const auto state,
                       testing::FreshState(*MakeOuter(), Device{}, 11));
  const auto parameters = constructed.named_parameters();
  ASSERT_EQ(parameters.size(), state.size());
  for (size_t i = 0; i < state.size(); ++i) {
    const at::Tensor& parameter = parameters[i].value();
    EXPECT_EQ(state[i].bytes,
              std::string(static_cast<char*>(parameter.data_ptr()),
                          parameter.nbytes()))
        << parameters[i].key();
  }
}

TEST(ModuleArchitectureTest, ForwardReadsTheStateWhereItLies) {
  const auto outer = MakeOuter();
  const std::vector<OwnedTensor> tensors = {
      testing::Floats({2, 2}, {1, 0, 0, 10}), testing::Floats({1, 2}, {1, 1}),
      testing::Floats({1}, {0.5})};
  std::vector<std::unique_ptr<testing::ReadOnlyPage>> pages;
  std::vector<HostTensor> state;
  for (const OwnedTensor& tensor : tensors) {
    pages.push_back(std::make_unique<testing::ReadOnlyPage>(tensor.bytes));
    state.push_back({tensor.spec, pages.back()->bytes()});
  }
  const OwnedTensor input = testing::Floats({1, 2}, {3, 4});
  EXPECT_TRUE(outer->has_forward());
  ASSERT_OK_AND_ASSIGN(
      const OwnedTensor output,
      testing::Run(*outer, Device{}, state, testing::View(input)));
  EXPECT_EQ(output.spec, testing::Spec(DType::kFloat32, {1, 1}));
  EXPECT_THAT(testing::ToFloats(output.bytes), ElementsAre(43.5));
}

TEST(ModuleArchitectureTest, UnalignedStatesAndInputsWork) {
  const auto outer = MakeOuter();
  ASSERT_OK_AND_ASSIGN(const auto state,
                       testing::FreshState(*outer, Device{}, 1));
  const OwnedTensor input = testing::Floats({1, 2}, {3, 4});
  ASSERT_OK_AND_ASSIGN(const OwnedTensor expected,
                       testing::Run(*outer, Device{}, testing::Views(state),
                                    testing::View(input)));

  std::vector<testing::OffsetBytes> moved;
  for (const OwnedTensor& tensor : state) {
    moved.emplace_back(tensor.bytes.size(), 1);
    tensor.bytes.copy(moved.back().span().data(), tensor.bytes.size());
  }
  testing::OffsetBytes moved_input(input.bytes.size(), 3);
  input.bytes.copy(moved_input.span().data(), input.bytes.size());
  std::vector<HostTensor> views;
  views.reserve(state.size());
  for (size_t i = 0; i < state.size(); ++i) {
    views.push_back({state[i].spec, moved[i].view()});
  }
  ASSERT_OK_AND_ASSIGN(
      const OwnedTensor output,
      testing::Run(*outer, Device{}, views, {input.spec, moved_input.view()}));
  EXPECT_EQ(output.bytes, expected.bytes);
}

}  // namespace
}  // namespace warmstart::backend
