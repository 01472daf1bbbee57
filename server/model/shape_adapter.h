// ShapeAdapter: how a source tensor of another shape is made to fit.
//
// Each kind is what a training code base does, named for it. Adapters are asked
// for, key by key or all together; each use is reported with what it did.

#ifndef WARMSTART_SERVER_MODEL_SHAPE_ADAPTER_H_
#define WARMSTART_SERVER_MODEL_SHAPE_ADAPTER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"

namespace warmstart {

// Of the adapters below, the first that fits the key and the shapes, in the
// order: relative and absolute position embeddings and patch embeddings (by the
// names that timm and transformers give them), input channels, inflation, rows.
// Never slices and pads.
struct AutoAdapter {
  friend bool operator==(const AutoAdapter&, const AutoAdapter&) = default;
};

// Vocabularies and classes: slices along `dim`, those that source and target
// share kept, the others filled. All other dimensions must agree.
struct RowsAdapter {
  enum class Rest {
    kInitialize,  // by the target's initializer
    kMean,        // each the mean of the source's slices
  };

  int dim = 0;
  Rest rest = Rest::kInitialize;
  // The vocabularies, one label for each slice, as tf.estimator's VocabInfo:
  // a slice of the target comes from that of the source with the same label.
  // Without them, from that of the same index.
  std::vector<std::string> source_labels;
  std::vector<std::string> target_labels;
  friend bool operator==(const RowsAdapter&, const RowsAdapter&) = default;
};

// timm's adapt_input_conv: a convolution's weight for another number of input
// channels. To one, the channels are summed; to a third of them that is a
// square (a space-to-depth stem for grey images), each three are; else they are
// repeated in turn and scaled by source/target.
struct InputChannelsAdapter {
  friend bool operator==(const InputChannelsAdapter&,
                         const InputChannelsAdapter&) = default;
};

// A 2D convolution's weight, [out, in, h, w], for a 3D one, [out, in, t, h, w]:
// repeated along t and divided by t (Carreira and Zisserman), or put at the
// centre of zeros.
struct InflateAdapter {
  enum class Mode { kAverage, kCenter };

  Mode mode = Mode::kAverage;
  friend bool operator==(const InflateAdapter&,
                         const InflateAdapter&) = default;
};

// timm's resample_abs_pos_embed: [1, prefix + h * w, dim] to another grid, and
// [1, h, w, dim] and [1, dim, h, w], by bicubic, antialiased interpolation.
struct PositionEmbeddingAdapter {
  // Tokens in front that belong to no patch. Default: 1 where one less is a
  // square (or the grid that is given), both in source and target; else 0.
  std::optional<int64_t> prefix_tokens;
  // Height and width of the grids. Default: squares.
  std::vector<int64_t> source_grid;
  std::vector<int64_t> target_grid;
  friend bool operator==(const PositionEmbeddingAdapter&,
                         const PositionEmbeddingAdapter&) = default;
};

// [positions, dim] or [1, positions, dim] by linear interpolation.
struct PositionEmbedding1dAdapter {
  friend bool operator==(const PositionEmbedding1dAdapter&,
                         const PositionEmbedding1dAdapter&) = default;
};

// Relative position bias tables, [(2h-1) * (2w-1), heads], as timm's
// resize_rel_pos_bias_table, which its Swin and BEiT load with: the source's
// positions are spaced geometrically, and interpolated between linearly. The
// three more entries of BEiT's tables are kept. (timm's ..._table_simple is
// bicubic, and gives other values.)
struct RelativePositionBiasAdapter {
  // Height and width of the windows. Default: squares.
  std::vector<int64_t> source_window;
  std::vector<int64_t> target_window;
  friend bool operator==(const RelativePositionBiasAdapter&,
                         const RelativePositionBiasAdapter&) = default;
};

// timm's resample_patch_embed: [dim, in, h, w] to another patch size, by the
// pseudoinverse of the resize (FlexiViT).
struct PatchEmbeddingAdapter {
  friend bool operator==(const PatchEmbeddingAdapter&,
                         const PatchEmbeddingAdapter&) = default;
};

// What both have, from the corner of each dimension; the rest of the target is
// initialized, or holds `fill`. The number of dimensions must agree.
struct SliceAndPadAdapter {
  std::optional<double> fill;
  friend bool operator==(const SliceAndPadAdapter&,
                         const SliceAndPadAdapter&) = default;
};

using ShapeAdapterKind =
    std::variant<AutoAdapter, RowsAdapter, InputChannelsAdapter, InflateAdapter,
                 PositionEmbeddingAdapter, PositionEmbedding1dAdapter,
                 RelativePositionBiasAdapter, PatchEmbeddingAdapter,
                 SliceAndPadAdapter>;

struct ShapeAdapter {
  std::string keys;  // glob on target keys
  ShapeAdapterKind kind;
  friend bool operator==(const ShapeAdapter&, const ShapeAdapter&) = default;
};

// "rows", "input_channels", ...: the names of the API's fields.
absl::string_view ShapeAdapterName(const ShapeAdapterKind& kind);

// Net2Net's wider layers, which compute what the narrow ones did. The units of
// a layer are the slices of some tensors that make them (`outputs`: the layer's
// weight and bias along dimension 0, the normalization behind it) and of some
// that take them in (`inputs`: the next layer's weight along dimension 1). New
// unit i is a copy of unit i modulo the old number; what takes units in is
// divided by how many copies each has.
struct Widening {
  struct Slices {
    std::string key;  // of the target
    int dim = 0;
    friend bool operator==(const Slices&, const Slices&) = default;
  };

  std::vector<Slices> outputs;
  std::vector<Slices> inputs;
  friend bool operator==(const Widening&, const Widening&) = default;
};

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_SHAPE_ADAPTER_H_
