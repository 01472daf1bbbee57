#include "server/torch/declared/attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <limits>
#include <utility>

#include "server/torch/declared/checks.h"

namespace warmstart::backend::declared {

using at::Tensor;

void DeclareAttention(Scope& scope, DType dtype, Attention& attention) {
  const int64_t dim = attention.embed_dim;
  if (attention.has_one_in_weight()) {
    attention.in_weight =
        scope.Undrawn("in_proj_weight", dtype, {3 * dim, dim});
  } else {
    attention.query_weight = scope.Undrawn("q_proj_weight", dtype, {dim, dim});
    attention.key_weight =
        scope.Undrawn("k_proj_weight", dtype, {dim, attention.key_dim});
    attention.value_weight =
        scope.Undrawn("v_proj_weight", dtype, {dim, attention.value_dim});
  }
  if (attention.has_bias) {
    attention.in_bias = scope.Undrawn("in_proj_bias", dtype, {3 * dim});
  }
  if (attention.has_key_value_bias) {
    attention.key_bias = scope.Undrawn("bias_k", dtype, {1, 1, dim});
    attention.value_bias = scope.Undrawn("bias_v", dtype, {1, 1, dim});
  }
  // Linear's constructor draws before _reset_parameters() does.
  Scope out = scope.Child("out_proj");
  attention.out = DeclareLinear(out, dim, dim, attention.has_bias, dtype);
  for (const StateIndex weight :
       {attention.in_weight, attention.query_weight, attention.key_weight,
        attention.value_weight}) {
    if (weight.is_there()) scope.Draw(weight, XavierUniformInit{});
  }
  if (attention.has_bias) {
    scope.Draw(attention.in_bias, ConstantInit{0});
    scope.Draw(attention.out.bias, ConstantInit{0});
  }
  if (attention.has_key_value_bias) {
    scope.Draw(attention.key_bias, XavierNormalInit{});
    scope.Draw(attention.value_bias, XavierNormalInit{});
  }
}

Tensor CanonicalMask(const char* name, const Tensor& mask, const Tensor& like) {
  if (!mask.defined() || mask.is_floating_point()) return mask;
  TORCH_CHECK(mask.scalar_type() == at::kBool, name,
              " takes bool or floating point values, the input is ",
              TypeNameOf(mask));
  return at::zeros(mask.sizes(), like.options())
      .masked_fill_(mask, -std::numeric_limits<double>::infinity());
}

namespace {

void RequireShape(const char* name, const Tensor& tensor, at::IntArrayRef sizes,
                  at::IntArrayRef or_sizes) {
  TORCH_CHECK(tensor.sizes() == sizes || tensor.sizes() == or_sizes, name,
              " takes a shape of ", sizes, " or ", or_sizes,
              ", the input has shape ", tensor.sizes());
}

struct Lengths {
  int64_t batch, target, source;
};

Lengths LengthsOf(const Attention& attention, const AttentionInputs& inputs) {
  const bool is_batched = inputs.query.dim() == 3;
  const int64_t time = is_batched && attention.batch_first ? 1 : 0;
  return {is_batched ? inputs.query.size(1 - time) : 1, inputs.query.size(time),
          inputs.key.size(time)};
}

void RequireInputs(const Pass& pass, const Attention& attention,
                   const AttentionInputs& inputs) {
  const std::string type = "MultiheadAttention";
  const Tensor& query = inputs.query;
  TORCH_CHECK(query.dim() == 2 || query.dim() == 3, type,
              " takes 3 dimensions, or 2 without a batch, the input has shape ",
              query.sizes());
  RequireLast(type, {attention.embed_dim}, query);
  RequireLast(type + "'s key", {attention.key_dim}, inputs.key);
  RequireLast(type + "'s value", {attention.value_dim}, inputs.value);
  for (const Tensor& tensor : {query, inputs.key, inputs.value}) {
    RequireTypeOf(type, pass[attention.out.weight], tensor);
  }
  const bool fits = inputs.key.dim() == query.dim() &&
                    inputs.value.dim() == query.dim() &&
                    inputs.key.sizes().slice(0, query.dim() - 1) ==
                        inputs.value.sizes().slice(0, query.dim() - 1);
  TORCH_CHECK(fits, type, " takes a key and a value of one length, they have ",
              inputs.key.sizes(), " and ", inputs.value.sizes());
  if (query.dim() == 3) {
    const int64_t batch = attention.batch_first ? 0 : 1;
    TORCH_CHECK(inputs.key.size(batch) == query.size(batch), type,
                " takes a key of the query's batch, they have ",
                inputs.key.sizes(), " and ", query.sizes());
  }
}

struct Projected {
  Tensor query, key, value;
};

// As torch.nn.functional's _in_projection_packed and _in_projection, which
// differ in what they multiply at once.
Projected Project(const Pass& pass, const Attention& attention,
                  const AttentionInputs& inputs) {
  const int64_t dim = attention.embed_dim;
  const Tensor bias = pass[attention.in_bias];
  const auto part = [&](int64_t from, int64_t count) {
    return bias.defined() ? bias.narrow(0, from * dim, count * dim) : Tensor();
  };
  if (!attention.has_one_in_weight()) {
    return {at::linear(inputs.query, pass[attention.query_weight], part(0, 1)),
            at::linear(inputs.key, pass[attention.key_weight], part(1, 1)),
            at::linear(inputs.value, pass[attention.value_weight], part(2, 1))};
  }
  const Tensor weight = pass[attention.in_weight];
  const auto rows = [&](int64_t from, int64_t count) {
    return weight.narrow(0, from * dim, count * dim);
  };
  const auto apart = [&](const Tensor& projected, int64_t count) {
    return projected.unflatten(-1, {count, dim})
        .unsqueeze(0)
        .transpose(0, -2)
        .squeeze(-2)
        .contiguous();
  };
  if (!inputs.key.is_same(inputs.value)) {
    return {at::linear(inputs.query, rows(0, 1), part(0, 1)),
            at::linear(inputs.key, rows(1, 1), part(1, 1)),
            at::linear(inputs.value, rows(2, 1), part(2, 1))};
  }
  if (inputs.query.is_same(inputs.key)) {
    const Tensor all = apart(at::linear(inputs.query, weight, bias), 3);
    return {all[0], all[1], all[2]};
  }
  const Tensor query = at::linear(inputs.query, rows(0, 1), part(0, 1));
  const Tensor both = apart(at::linear(inputs.key, rows(1, 2), part(1, 2)), 2);
  return {query, both[0], both[1]};
}

Tensor OneMoreColumn(const Tensor& mask) {
  return mask.defined() ? at::pad(mask, {0, 1}) : mask;
}

// Scores' mask as torch's scaled_dot_product_attention takes it.
std::optional<Tensor> ScoreMask(const Tensor& attn_mask,
                                const Tensor& key_padding_mask, int64_t batch,
                                int64_t heads, int64_t source) {
  Tensor mask = attn_mask;
  if (key_padding_mask.defined()) {
    const Tensor padding = key_padding_mask.view({batch, 1, 1, source})
                               .expand({-1, heads, -1, -1})
                               .reshape({batch * heads, 1, source});
    mask = mask.defined() ? mask + padding : padding;
  }
  if (!mask.defined()) return std::nullopt;
  return mask.size(0) == 1 ? mask.unsqueeze(0)
                           : mask.view({batch, heads, -1, source});
}

// torch.nn.functional.multi_head_attention_forward with need_weights=False; the
// sequence is the first dimension, the batch the second.
Tensor AttendInSteps(const Pass& pass, const Attention& attention,
                     const AttentionInputs& inputs) {
  const int64_t heads = attention.num_heads;
  const int64_t head_dim = attention.embed_dim / heads;
  const int64_t target = inputs.query.size(0);
  const int64_t batch = inputs.query.size(1);
  Tensor padding =
      CanonicalMask("key_padding_mask", inputs.key_padding_mask, inputs.query);
  Tensor mask = CanonicalMask("attn_mask", inputs.attn_mask, inputs.query);
  if (mask.defined() && mask.dim() == 2) mask = mask.unsqueeze(0);
  Projected projected = Project(pass, attention, inputs);
  if (attention.has_key_value_bias) {
    const auto append = [&](const Tensor& tensor, StateIndex bias) {
      return at::cat({tensor, pass[bias].repeat({1, batch, 1})});
    };
    projected.key = append(projected.key, attention.key_bias);
    projected.value = append(projected.value, attention.value_bias);
    mask = OneMoreColumn(mask);
    padding = OneMoreColumn(padding);
  }
  const auto by_head = [&](const Tensor& tensor) {
    return tensor.reshape({tensor.size(0), batch * heads, head_dim})
        .transpose(0, 1);
  };
  const Tensor query = by_head(projected.query);
  Tensor key = by_head(projected.key);
  Tensor value = by_head(projected.value);
  if (attention.adds_zero_attention) {
    const Tensor zeros = at::zeros({batch * heads, 1, head_dim}, key.options());
    key = at::cat({key, zeros}, 1);
    value = at::cat({value, zeros}, 1);
    mask = OneMoreColumn(mask);
    padding = OneMoreColumn(padding);
  }
  const int64_t source = key.size(1);
  const std::optional<Tensor> score_mask =
      ScoreMask(mask, padding, batch, heads, source);
  const Tensor attended =
      at::scaled_dot_product_attention(
          query.view({batch, heads, target, head_dim}),
          key.view({batch, heads, source, head_dim}),
          value.view({batch, heads, source, head_dim}), score_mask)
          .permute({2, 0, 1, 3})
          .contiguous()
          .view({batch * target, attention.embed_dim});
  return Linear(pass, attention.out, attended)
      .view({target, batch, attention.embed_dim});
}

// Whether MultiheadAttention leaves it to a fused kernel.
bool IsFused(const Attention& attention, const AttentionInputs& inputs) {
  const auto is_float = [](const Tensor& mask) {
    return mask.defined() && mask.is_floating_point();
  };
  return attention.batch_first && inputs.query.dim() == 3 &&
         inputs.query.is_same(inputs.key) && inputs.key.is_same(inputs.value) &&
         attention.has_one_in_weight() && attention.has_bias &&
         attention.num_heads % 2 == 0 && !attention.has_key_value_bias &&
         !attention.adds_zero_attention && !is_float(inputs.attn_mask) &&
         !is_float(inputs.key_padding_mask);
}

}  // namespace

void RequireMasks(const Attention& attention, const AttentionInputs& inputs) {
  const Lengths lengths = LengthsOf(attention, inputs);
  if (inputs.key_padding_mask.defined()) {
    const Sizes sizes = {lengths.batch, lengths.source};
    RequireShape("key_padding_mask", inputs.key_padding_mask, sizes,
                 inputs.query.dim() == 2 ? Sizes{lengths.source} : sizes);
  }
  if (inputs.attn_mask.defined()) {
    RequireShape(
        "attn_mask", inputs.attn_mask, {lengths.target, lengths.source},
        {lengths.batch * attention.num_heads, lengths.target, lengths.source});
  }
}

MergedMask MergeMasks(const Attention& attention, const Tensor& attn_mask,
                      const Tensor& key_padding_mask, const Tensor& query) {
  enum : int64_t { kPaddingMask = 1, kBothMasks = 2 };
  if (!attn_mask.defined()) {
    if (!key_padding_mask.defined()) return {};
    return {key_padding_mask, kPaddingMask};
  }
  const int64_t batch = query.size(0);
  const int64_t length = query.size(1);
  const Tensor mask = attn_mask.dim() == 3
                          ? attn_mask.view({batch, -1, length, length})
                          : attn_mask.view({1, 1, length, length})
                                .expand({batch, attention.num_heads, -1, -1});
  if (!key_padding_mask.defined()) return {mask, kBothMasks};
  return {mask + key_padding_mask.view({batch, 1, 1, length})
                     .expand({-1, attention.num_heads, -1, -1}),
          kBothMasks};
}

Tensor Attend(const Pass& pass, const Attention& attention,
              AttentionInputs inputs) {
  RequireInputs(pass, attention, inputs);
  RequireMasks(attention, inputs);
  if (IsFused(attention, inputs)) {
    const MergedMask merged = MergeMasks(
        attention, CanonicalMask("attn_mask", inputs.attn_mask, inputs.query),
        CanonicalMask("key_padding_mask", inputs.key_padding_mask,
                      inputs.query),
        inputs.query);
    return std::get<0>(at::_native_multi_head_attention(
        inputs.query, inputs.key, inputs.value, attention.embed_dim,
        attention.num_heads, pass[attention.in_weight], pass[attention.in_bias],
        pass[attention.out.weight], pass[attention.out.bias], merged.mask,
        /*need_weights=*/false,
        /*average_attn_weights=*/true, merged.kind));
  }
  const bool is_batched = inputs.query.dim() == 3;
  // As in PyTorch, what is one tensor stays one only in a batch: that decides
  // how it is projected.
  const auto batch_second = [&](const Tensor& tensor) {
    if (!is_batched) return tensor.unsqueeze(1);
    return attention.batch_first ? tensor.transpose(1, 0) : tensor;
  };
  const Tensor query = batch_second(inputs.query);
  const Tensor key = is_batched && inputs.key.is_same(inputs.query)
                         ? query
                         : batch_second(inputs.key);
  const Tensor value = is_batched && inputs.value.is_same(inputs.key)
                           ? key
                           : batch_second(inputs.value);
  if (!is_batched && inputs.key_padding_mask.defined() &&
      inputs.key_padding_mask.dim() == 1) {
    inputs.key_padding_mask = inputs.key_padding_mask.unsqueeze(0);
  }
  const Tensor result = AttendInSteps(
      pass, attention,
      {query, key, value, inputs.key_padding_mask, inputs.attn_mask});
  if (!is_batched) return result.squeeze(1);
  return attention.batch_first ? result.transpose(1, 0) : result;
}

}  // namespace warmstart::backend::declared
