// Attention as torch.nn.MultiheadAttention computes it in evaluation, without
// the attention weights.

#ifndef WARMSTART_SERVER_TORCH_DECLARED_ATTENTION_H_
#define WARMSTART_SERVER_TORCH_DECLARED_ATTENTION_H_

#include <cstdint>
#include <string>

#include "server/model/dtype.h"
#include "server/torch/declared/blueprint.h"
#include "server/torch/declared/layer.h"
#include "server/torch/declared/linear_layers.h"

namespace warmstart::backend::declared {

struct Attention {
  int64_t embed_dim = 1;
  int64_t num_heads = 1;
  int64_t key_dim = 1;
  int64_t value_dim = 1;
  bool has_bias = true;
  bool has_key_value_bias = false;  // add_bias_kv
  bool adds_zero_attention = false;
  bool batch_first = false;

  // One matrix for all three, or one for each.
  StateIndex in_weight;
  StateIndex query_weight, key_weight, value_weight;
  StateIndex in_bias;
  StateIndex key_bias, value_bias;
  LinearParameters out;

  bool has_one_in_weight() const {
    return key_dim == embed_dim && value_dim == embed_dim;
  }
};

// Declares and draws the parameters of `attention`.
void DeclareAttention(Scope& scope, DType dtype, Attention& attention);

// Masks are undefined where there is none. Throws in words where the inputs do
// not fit.
struct AttentionInputs {
  at::Tensor query, key, value;
  at::Tensor key_padding_mask;
  at::Tensor attn_mask;
};
at::Tensor Attend(const Pass& pass, const Attention& attention,
                  AttentionInputs inputs);

// A mask as scores are masked: a bool one becomes 0 and -inf of `like`'s type.
at::Tensor CanonicalMask(const char* name, const at::Tensor& mask,
                         const at::Tensor& like);

// Both masks in one, as PyTorch's fused kernels take them, and what kind it is.
struct MergedMask {
  std::optional<at::Tensor> mask;
  std::optional<int64_t> kind;
};
MergedMask MergeMasks(const Attention& attention, const at::Tensor& attn_mask,
                      const at::Tensor& key_padding_mask,
                      const at::Tensor& query);

// Throws, in words, unless the masks fit batches of sequences of these lengths.
void RequireMasks(const Attention& attention, const AttentionInputs& inputs);

}  // namespace warmstart::backend::declared

#endif  // WARMSTART_SERVER_TORCH_DECLARED_ATTENTION_H_
