// The networks of PyTorch's recipe "Warmstarting model using parameters from a
// different model in PyTorch", https://docs.pytorch.org/tutorials/recipes/
// recipes/warmstarting_model_using_parameters_from_a_different_model.html

#include <ATen/Functions.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>

#include <memory>

#include "server/torch/model_architecture.h"
#include "server/torch/module_architecture.h"

namespace warmstart::backend {
namespace {

// The recipe defines NetA and NetB alike: only the names differ.
class RecipeNetwork : public Network {
 public:
  at::Tensor forward(at::Tensor x) override {
    x = pool_->forward(at::relu(conv1_->forward(x)));
    x = pool_->forward(at::relu(conv2_->forward(x)));
    x = x.view({-1, 16 * 5 * 5});
    x = at::relu(fc1_->forward(x));
    x = at::relu(fc2_->forward(x));
    return fc3_->forward(x);
  }

 private:
  template <typename Layer, typename... Args>
  Layer Register(const char* name, Args... args) {
    return register_module(name, Layer(args...));
  }

  // Registered, and initialised, in the order in which they stand here.
  torch::nn::Conv2d conv1_ =
      Register<torch::nn::Conv2d>("conv1", torch::nn::Conv2dOptions(3, 6, 5));
  torch::nn::MaxPool2d pool_ = Register<torch::nn::MaxPool2d>(
      "pool", torch::nn::MaxPool2dOptions(2).stride(2));
  torch::nn::Conv2d conv2_ =
      Register<torch::nn::Conv2d>("conv2", torch::nn::Conv2dOptions(6, 16, 5));
  torch::nn::Linear fc1_ = Register<torch::nn::Linear>("fc1", 16 * 5 * 5, 120);
  torch::nn::Linear fc2_ = Register<torch::nn::Linear>("fc2", 120, 84);
  torch::nn::Linear fc3_ = Register<torch::nn::Linear>("fc3", 84, 10);
};

std::shared_ptr<Network> MakeRecipeNetwork() {
  return std::make_shared<RecipeNetwork>();
}

}  // namespace

std::unique_ptr<ModelArchitecture> MakeNetA() {
  return MakeModuleArchitecture("NetA", MakeRecipeNetwork);
}

std::unique_ptr<ModelArchitecture> MakeNetB() {
  return MakeModuleArchitecture("NetB", MakeRecipeNetwork);
}

}  // namespace warmstart::backend
