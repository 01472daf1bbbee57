// RNN, GRU and LSTM.

#include <ATen/Functions.h>

#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/torch/declared/checks.h"
#include "server/torch/declared/layer_table.h"

namespace warmstart::backend::declared {
namespace {

using at::Tensor;

// Deeper stacks are not made by hand.
constexpr int64_t kMostLayers = 1024;

enum class Cell { kRnn, kGru, kLstm };

struct Recurrent {
  Cell cell = Cell::kRnn;
  std::string type;
  int64_t input_size = 1, hidden_size = 1, layers = 1;
  int64_t proj_size = 0;  // 0 is none
  int64_t directions = 1;
  bool relu = false, has_bias = true, batch_first = false;
  DType dtype = DType::kFloat32;
  std::vector<StateIndex> weights;  // as torch's functions take them

  int64_t output_size() const {
    return proj_size > 0 ? proj_size : hidden_size;
  }
};

// How many matrices a cell's weights are stacked of.
int64_t GatesOf(Cell cell) {
  return cell == Cell::kLstm ? 4 : cell == Cell::kGru ? 3 : 1;
}

absl::StatusOr<Recurrent> Read(Cell cell, Options& options) {
  Recurrent rnn;
  rnn.cell = cell;
  rnn.type = options.type();
  rnn.input_size = options.Size("input_size");
  rnn.hidden_size = options.Size("hidden_size");
  rnn.layers = options.SizeOr("num_layers", 1, kMostLayers);
  if (cell == Cell::kRnn) {
    rnn.relu =
        options.ChoiceOr("nonlinearity", "tanh", {"tanh", "relu"}) == "relu";
  }
  rnn.has_bias = options.FlagOr("bias", true);
  rnn.batch_first = options.FlagOr("batch_first", false);
  options.Probability("dropout", 0);
  rnn.directions = options.FlagOr("bidirectional", false) ? 2 : 1;
  if (cell == Cell::kLstm) {
    rnn.proj_size = options.IntegerOr("proj_size", 0);
    options.Require(rnn.proj_size >= 0 && rnn.proj_size < rnn.hidden_size,
                    "proj_size", "must be at least 0 and below hidden_size");
  }
  rnn.dtype = options.FloatType();
  RETURN_IF_ERROR(options.Done());
  return rnn;
}

// Parameters are named, and drawn, in the order in which torch's functions take
// them; each is uniform within 1 / sqrt(hidden_size).
void DeclareCell(Scope& scope, const std::string& suffix, int64_t input_size,
                 Recurrent& rnn) {
  const int64_t rows = GatesOf(rnn.cell) * rnn.hidden_size;
  const auto declare = [&](const char* name, Sizes sizes) {
    rnn.weights.push_back(scope.Parameter(absl::StrCat(name, suffix), rnn.dtype,
                                          std::move(sizes),
                                          FanInUniformInit{rnn.hidden_size}));
  };
  declare("weight_ih_l", {rows, input_size});
  declare("weight_hh_l", {rows, rnn.output_size()});
  if (rnn.has_bias) {
    declare("bias_ih_l", {rows});
    declare("bias_hh_l", {rows});
  }
  if (rnn.proj_size > 0) {
    declare("weight_hr_l", {rnn.proj_size, rnn.hidden_size});
  }
}

void Declare(Scope& scope, Recurrent& rnn) {
  for (int64_t layer = 0; layer < rnn.layers; ++layer) {
    const int64_t input_size =
        layer == 0 ? rnn.input_size : rnn.output_size() * rnn.directions;
    for (int64_t direction = 0; direction < rnn.directions; ++direction) {
      DeclareCell(scope, absl::StrCat(layer, direction == 1 ? "_reverse" : ""),
                  input_size, rnn);
    }
  }
}

// The initial state that was given, or zeros.
Tensor InitialState(const Recurrent& rnn, const Tensor& given, const char* name,
                    int64_t size, const Tensor& batched, bool is_batched) {
  const int64_t batch = batched.size(rnn.batch_first ? 0 : 1);
  const Sizes sizes = {rnn.layers * rnn.directions, batch, size};
  if (!given.defined()) return at::zeros(sizes, batched.options());
  const Tensor state = is_batched ? given : given.unsqueeze(1);
  const Sizes expected =
      is_batched ? sizes : Sizes{rnn.layers * rnn.directions, size};
  TORCH_CHECK(state.sizes() == at::IntArrayRef(sizes), rnn.type,
              " takes a shape of ", at::IntArrayRef(expected), " for ", name,
              ", the input has shape ", given.sizes());
  RequireTypeOf(absl::StrCat(rnn.type, "'s ", name), batched, given);
  return state;
}

Tensors Call(const Recurrent& rnn, const Tensor& input, const Tensors& state,
             const Tensors& weights) {
  const bool both = rnn.directions == 2;
  const auto call = [&](auto function, const auto& initial) {
    return function(input, initial, weights, rnn.has_bias, rnn.layers,
                    /*dropout=*/0.0, /*train=*/false, both, rnn.batch_first);
  };
  if (rnn.cell == Cell::kLstm) {
    auto [output, h, c] =
        call([](const auto&... args) { return at::lstm(args...); }, state);
    return {output, h, c};
  }
  if (rnn.cell == Cell::kGru) {
    auto [output, h] =
        call([](const auto&... args) { return at::gru(args...); }, state[0]);
    return {output, h};
  }
  auto [output, h] =
      rnn.relu ? call([](const auto&... args) { return at::rnn_relu(args...); },
                      state[0])
               : call([](const auto&... args) { return at::rnn_tanh(args...); },
                      state[0]);
  return {output, h};
}

Tensors Run(const Pass& pass, const Recurrent& rnn, const Tensors& inputs) {
  const Tensor& input = inputs[0];
  TORCH_CHECK(input.dim() == 2 || input.dim() == 3, rnn.type,
              " takes 3 dimensions, or 2 without a batch, the input has shape ",
              input.sizes());
  RequireLast(rnn.type, {rnn.input_size}, input);
  RequireTypeOf(rnn.type, pass[rnn.weights[0]], input);
  const bool is_batched = input.dim() == 3;
  const int64_t batch_dim = rnn.batch_first ? 0 : 1;
  const Tensor batched = is_batched ? input : input.unsqueeze(batch_dim);
  Tensors state = {InitialState(rnn, inputs[1], "h_0", rnn.output_size(),
                                batched, is_batched)};
  if (rnn.cell == Cell::kLstm) {
    TORCH_CHECK(inputs[1].defined() == inputs[2].defined(),
                "LSTM takes both h_0 and c_0, or neither");
    state.push_back(InitialState(rnn, inputs[2], "c_0", rnn.hidden_size,
                                 batched, is_batched));
  }
  Tensors weights;
  for (const StateIndex index : rnn.weights) weights.push_back(pass[index]);
  Tensors outputs = Call(rnn, batched, state, weights);
  if (is_batched) return outputs;
  outputs[0] = outputs[0].squeeze(batch_dim);
  for (size_t i = 1; i < outputs.size(); ++i)
    outputs[i] = outputs[i].squeeze(1);
  return outputs;
}

LayerType Recurrence(Cell cell) {
  return Leaf([cell](Options& options, Scope& scope) -> absl::StatusOr<Layer> {
    ASSIGN_OR_RETURN(Recurrent rnn, Read(cell, options));
    Declare(scope, rnn);
    Layer layer;
    layer.inputs = {{"input"}, {"h_0", /*required=*/false}};
    layer.outputs = {"output", "h_n"};
    if (cell == Cell::kLstm) {
      layer.inputs.push_back({"c_0", /*required=*/false});
      layer.outputs.push_back("c_n");
    }
    layer.forward = [rnn](const Pass& pass, const Tensors& inputs) {
      return Run(pass, rnn, inputs);
    };
    return layer;
  });
}

}  // namespace

void AddRecurrentLayers(LayerTable& table) {
  table["GRU"] = Recurrence(Cell::kGru);
  table["LSTM"] = Recurrence(Cell::kLstm);
  table["RNN"] = Recurrence(Cell::kRnn);
}

}  // namespace warmstart::backend::declared
