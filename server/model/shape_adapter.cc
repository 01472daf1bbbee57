#include "server/model/shape_adapter.h"

namespace warmstart {
namespace {

struct Name {
  absl::string_view operator()(const AutoAdapter&) const { return "auto"; }
  absl::string_view operator()(const RowsAdapter&) const { return "rows"; }
  absl::string_view operator()(const InputChannelsAdapter&) const {
    return "input_channels";
  }
  absl::string_view operator()(const InflateAdapter&) const {
    return "inflate";
  }
  absl::string_view operator()(const PositionEmbeddingAdapter&) const {
    return "position_embedding";
  }
  absl::string_view operator()(const PositionEmbedding1dAdapter&) const {
    return "position_embedding_1d";
  }
  absl::string_view operator()(const RelativePositionBiasAdapter&) const {
    return "relative_position_bias";
  }
  absl::string_view operator()(const PatchEmbeddingAdapter&) const {
    return "patch_embedding";
  }
  absl::string_view operator()(const SliceAndPadAdapter&) const {
    return "slice_and_pad";
  }
};

}  // namespace

absl::string_view ShapeAdapterName(const ShapeAdapterKind& kind) {
  return std::visit(Name{}, kind);
}

}  // namespace warmstart
