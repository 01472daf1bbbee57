// MultiheadAttention, TransformerEncoderLayer and TransformerEncoder.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/torch/declared/attention.h"
#include "server/torch/declared/checks.h"
#include "server/torch/declared/layer_table.h"
#include "server/torch/declared/linear_layers.h"
#include "server/torch/declared/normalization_layers.h"

namespace warmstart::backend::declared {
namespace {

using at::Tensor;

constexpr int64_t kMostLayers = 1024;

void RequireHeads(Options& options, const char* name, const char* dim_name,
                  const Attention& attention) {
  options.Require(
      attention.embed_dim % attention.num_heads == 0, name,
      absl::StrCat("must divide ", dim_name, ", which is ", attention.embed_dim,
                   ", is ", attention.num_heads));
}

absl::StatusOr<Layer> MakeMultiheadAttention(Options& options, Scope& scope) {
  Attention attention;
  attention.embed_dim = options.Size("embed_dim");
  attention.num_heads = options.Size("num_heads");
  RequireHeads(options, "num_heads", "embed_dim", attention);
  options.Probability("dropout", 0);
  attention.has_bias = options.FlagOr("bias", true);
  attention.has_key_value_bias = options.FlagOr("add_bias_kv", false);
  attention.adds_zero_attention = options.FlagOr("add_zero_attn", false);
  attention.key_dim =
      options.OptionalSize("kdim").value_or(attention.embed_dim);
  attention.value_dim =
      options.OptionalSize("vdim").value_or(attention.embed_dim);
  attention.batch_first = options.FlagOr("batch_first", false);
  const DType dtype = options.FloatType();
  RETURN_IF_ERROR(options.Done());
  DeclareAttention(scope, dtype, attention);
  const auto forward = [=](const Pass& pass, const Tensors& in) -> Tensors {
    return {Attend(pass, attention, {in[0], in[1], in[2], in[3], in[4]})};
  };
  return Layer{{{"query"},
                {"key"},
                {"value"},
                {"key_padding_mask", /*required=*/false},
                {"attn_mask", /*required=*/false}},
               {"attn_output"},
               forward};
}

struct EncoderLayer {
  Attention attention;
  LinearParameters linear1, linear2;
  LayerNormParameters norm1, norm2;
  int64_t feedforward = 2048;
  double eps = 1e-5;
  bool is_gelu = false;
  bool norm_first = false;
  DType dtype = DType::kFloat32;
};

absl::StatusOr<EncoderLayer> ReadEncoderLayer(Options& options) {
  EncoderLayer layer;
  Attention& attention = layer.attention;
  attention.embed_dim = options.Size("d_model");
  attention.key_dim = attention.value_dim = attention.embed_dim;
  attention.num_heads = options.Size("nhead");
  RequireHeads(options, "nhead", "d_model", attention);
  layer.feedforward = options.SizeOr("dim_feedforward", 2048);
  options.Probability("dropout", 0.1);
  layer.is_gelu =
      options.ChoiceOr("activation", "relu", {"relu", "gelu"}) == "gelu";
  layer.eps = options.NumberOr("layer_norm_eps", 1e-5);
  attention.batch_first = options.FlagOr("batch_first", false);
  layer.norm_first = options.FlagOr("norm_first", false);
  attention.has_bias = options.FlagOr("bias", true);
  layer.dtype = options.FloatType();
  RETURN_IF_ERROR(options.Done());
  return layer;
}

void DeclareEncoderLayer(Scope& scope, EncoderLayer& layer) {
  const int64_t dim = layer.attention.embed_dim;
  const bool bias = layer.attention.has_bias;
  Scope attention = scope.Child("self_attn");
  DeclareAttention(attention, layer.dtype, layer.attention);
  Scope linear1 = scope.Child("linear1");
  layer.linear1 =
      DeclareLinear(linear1, dim, layer.feedforward, bias, layer.dtype);
  scope.Child("dropout");
  Scope linear2 = scope.Child("linear2");
  layer.linear2 =
      DeclareLinear(linear2, layer.feedforward, dim, bias, layer.dtype);
  Scope norm1 = scope.Child("norm1");
  layer.norm1 = DeclareLayerNorm(norm1, {dim}, layer.eps, bias, layer.dtype);
  Scope norm2 = scope.Child("norm2");
  layer.norm2 = DeclareLayerNorm(norm2, {dim}, layer.eps, bias, layer.dtype);
  scope.Child("dropout1");
  scope.Child("dropout2");
}

// Whether torch.nn has a fused kernel for it.
bool CanBeFused(const EncoderLayer& layer) {
  return layer.attention.batch_first && layer.attention.has_bias &&
         layer.attention.num_heads % 2 == 0;
}

// Masks are canonical, or undefined.
struct EncoderInputs {
  Tensor src, mask, padding_mask;
};

Tensor EncodeFused(const Pass& pass, const EncoderLayer& layer,
                   const EncoderInputs& in) {
  const Attention& attention = layer.attention;
  const MergedMask merged =
      in.src.is_nested()
          ? MergedMask{}
          : MergeMasks(attention, in.mask, in.padding_mask, in.src);
  return at::_transformer_encoder_layer_fwd(
      in.src, attention.embed_dim, attention.num_heads,
      pass[attention.in_weight], pass[attention.in_bias],
      pass[attention.out.weight], pass[attention.out.bias], layer.is_gelu,
      layer.norm_first, layer.eps, pass[layer.norm1.weight],
      pass[layer.norm1.bias], pass[layer.norm2.weight], pass[layer.norm2.bias],
      pass[layer.linear1.weight], pass[layer.linear1.bias],
      pass[layer.linear2.weight], pass[layer.linear2.bias], merged.mask,
      merged.kind);
}

Tensor EncodeInSteps(const Pass& pass, const EncoderLayer& layer,
                     const EncoderInputs& in) {
  const auto attend = [&](const Tensor& x) {
    return Attend(pass, layer.attention, {x, x, x, in.padding_mask, in.mask});
  };
  const auto feed_forward = [&](const Tensor& x) {
    const Tensor hidden = Linear(pass, layer.linear1, x);
    return Linear(pass, layer.linear2,
                  layer.is_gelu ? at::gelu(hidden) : at::relu(hidden));
  };
  if (layer.norm_first) {
    const Tensor x = in.src + attend(LayerNorm(pass, layer.norm1, in.src));
    return x + feed_forward(LayerNorm(pass, layer.norm2, x));
  }
  const Tensor x = LayerNorm(pass, layer.norm1, in.src + attend(in.src));
  return LayerNorm(pass, layer.norm2, x + feed_forward(x));
}

Tensor Encode(const Pass& pass, const EncoderLayer& layer,
              const EncoderInputs& in) {
  return CanBeFused(layer) && in.src.dim() == 3
             ? EncodeFused(pass, layer, in)
             : EncodeInSteps(pass, layer, in);
}

// What both kinds of encoder take: src and two masks.
std::vector<InputPort> EncoderPorts(const char* mask) {
  return {{"src"},
          {mask, /*required=*/false},
          {"src_key_padding_mask", /*required=*/false}};
}

EncoderInputs CheckedInputs(const std::string& type, const Pass& pass,
                            const EncoderLayer& layer, const Tensors& inputs) {
  const Tensor& src = inputs[0];
  TORCH_CHECK(src.dim() == 2 || src.dim() == 3, type,
              " takes 3 dimensions, or 2 without a batch, the input has shape ",
              src.sizes());
  RequireLast(type, {layer.attention.embed_dim}, src);
  RequireTypeOf(type, pass[layer.linear1.weight], src);
  RequireMasks(layer.attention, {src, src, src, inputs[2], inputs[1]});
  return {src, CanonicalMask("the mask", inputs[1], src),
          CanonicalMask("src_key_padding_mask", inputs[2], src)};
}

absl::StatusOr<Layer> MakeTransformerEncoderLayer(Options& options,
                                                  Scope& scope) {
  ASSIGN_OR_RETURN(EncoderLayer layer, ReadEncoderLayer(options));
  DeclareEncoderLayer(scope, layer);
  const auto forward = [=](const Pass& pass, const Tensors& inputs) -> Tensors {
    return {
        Encode(pass, layer,
               CheckedInputs("TransformerEncoderLayer", pass, layer, inputs))};
  };
  return Layer{EncoderPorts("src_mask"), {"output"}, forward};
}

struct Encoder {
  std::vector<EncoderLayer> layers;
  std::optional<Layer> norm;
  bool uses_nested_tensor = true;
  bool mask_check = true;
};

// Copies are made of a layer that has been drawn: they have its values.
void DeclareCopies(Scope& scope, int64_t count, const EncoderLayer& prototype,
                   Encoder& encoder) {
  Blueprint& blueprint = scope.blueprint();
  Scope list = scope.Child("layers");
  const size_t first_draw = blueprint.draws.size();
  const size_t first_entry = blueprint.entries.size();
  size_t draws_end = first_draw;
  for (int64_t i = 0; i < count; ++i) {
    const size_t distance = blueprint.entries.size() - first_entry;
    Scope copy = list.Child(absl::StrCat(i));
    encoder.layers.push_back(prototype);
    DeclareEncoderLayer(copy, encoder.layers.back());
    if (i == 0) {
      draws_end = blueprint.draws.size();
      continue;
    }
    blueprint.draws.resize(draws_end);
    for (size_t d = first_draw; d < draws_end; ++d) {
      std::vector<size_t>& entries = blueprint.draws[d].entries;
      entries.push_back(entries.front() + distance);
    }
  }
}

// As TransformerEncoder does: what is padded is left out of the computation, in
// nested tensors, where the layers have a kernel for those.
bool GoesNested(const Encoder& encoder, const EncoderInputs& in) {
  const EncoderLayer& layer = encoder.layers.front();
  return encoder.uses_nested_tensor && !layer.norm_first && CanBeFused(layer) &&
         in.src.dim() == 3 && in.padding_mask.defined() && !in.mask.defined() &&
         (!encoder.mask_check || at::_nested_tensor_from_mask_left_aligned(
                                     in.src, in.padding_mask.logical_not()));
}

Tensor Encode(const Pass& pass, const Encoder& encoder, EncoderInputs in) {
  const Tensor src = in.src;
  const bool nested = GoesNested(encoder, in);
  if (nested) {
    in.src = at::_nested_tensor_from_mask(src, in.padding_mask.logical_not(),
                                          /*mask_check=*/false);
    in.padding_mask = Tensor();
  }
  for (const EncoderLayer& layer : encoder.layers) {
    in.src = Encode(pass, layer, in);
  }
  if (nested) in.src = in.src.to_padded_tensor(0.0, src.sizes());
  return encoder.norm.has_value() ? encoder.norm->forward(pass, {in.src})[0]
                                  : in.src;
}

// Its children are the layer, of which it makes num_layers copies, and, if
// there is one, the norm.
absl::StatusOr<Layer> MakeTransformerEncoder(Options& options, Scope& scope,
                                             const Site& site) {
  const std::vector<ModuleDeclaration>& children = options.module().children;
  const int64_t count = options.Size("num_layers", kMostLayers);
  Encoder encoder;
  encoder.uses_nested_tensor = options.FlagOr("enable_nested_tensor", true);
  encoder.mask_check = options.FlagOr("mask_check", true);
  RETURN_IF_ERROR(options.Done());
  if (children.empty() || children.size() > 2 ||
      children[0].type != "TransformerEncoderLayer" ||
      !children[0].children.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(site.place,
                     ".children: must be a TransformerEncoderLayer and, if "
                     "there is one, the norm"));
  }
  const auto place = [&](int index) {
    return absl::StrCat(site.place, ".children[", index, "]");
  };
  Options layer_options(children[0], place(0));
  ASSIGN_OR_RETURN(const EncoderLayer prototype,
                   ReadEncoderLayer(layer_options));
  DeclareCopies(scope, count, prototype, encoder);
  if (children.size() == 2) {
    ASSIGN_OR_RETURN(encoder.norm, MakeChildLayer(children[1], "norm", scope,
                                                  {.place = place(1),
                                                   .is_first = false,
                                                   .depth = site.depth + 1}));
    if (encoder.norm->inputs.size() != 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          place(1), ".type: ", children[1].type, " takes several inputs"));
    }
  }
  const auto forward = [=](const Pass& pass, const Tensors& inputs) -> Tensors {
    return {Encode(pass, encoder,
                   CheckedInputs("TransformerEncoder", pass,
                                 encoder.layers.front(), inputs))};
  };
  return Layer{EncoderPorts("mask"), {"output"}, forward};
}

}  // namespace

void AddAttentionLayers(LayerTable& table) {
  table["MultiheadAttention"] = Leaf(MakeMultiheadAttention);
  table["TransformerEncoder"] = {.make = MakeTransformerEncoder,
                                 .has_children = true};
  table["TransformerEncoderLayer"] = Leaf(MakeTransformerEncoderLayer);
}

}  // namespace warmstart::backend::declared
