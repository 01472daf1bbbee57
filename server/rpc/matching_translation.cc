#include "server/rpc/matching_translation.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/model/dtype.h"

namespace warmstart::rpc {
namespace {

template <typename Field>
auto ToVector(const Field& field) {
  using Value = std::decay_t<decltype(*field.begin())>;
  return std::vector<Value>(field.begin(), field.end());
}

std::vector<int> ToInts(
    const google::protobuf::RepeatedField<google::protobuf::int32>& field) {
  return {field.begin(), field.end()};
}

std::vector<int64_t> ToSizes(
    const google::protobuf::RepeatedField<google::protobuf::int64>& field) {
  return {field.begin(), field.end()};
}

// 0, the default of proto3, is one group.
int64_t Groups(int64_t groups) { return groups == 0 ? 1 : groups; }

absl::StatusOr<ConvertStep> FromProto(const v1::ConvertStep& step,
                                      const std::string& field) {
  switch (step.step_case()) {
    case v1::ConvertStep::kConcat:
      return ConcatStep{step.concat().dim(), Groups(step.concat().groups()),
                        ToSizes(step.concat().sizes())};
    case v1::ConvertStep::kSplit:
      return SplitStep{step.split().dim(), Groups(step.split().groups()),
                       ToSizes(step.split().sizes())};
    case v1::ConvertStep::kStack:
      return StackStep{step.stack().dim()};
    case v1::ConvertStep::kUnstack:
      return UnstackStep{step.unstack().dim()};
    case v1::ConvertStep::kTranspose:
      return TransposeStep{
          step.transpose().dim0(),
          step.transpose().has_dim1() ? step.transpose().dim1() : 1};
    case v1::ConvertStep::kPermute:
      return PermuteStep{ToInts(step.permute().dims())};
    case v1::ConvertStep::kReshape:
      return ReshapeStep{ToSizes(step.reshape().sizes()),
                         ToSizes(step.reshape().from())};
    case v1::ConvertStep::kSqueeze:
      return SqueezeStep{step.squeeze().dim()};
    case v1::ConvertStep::kUnsqueeze:
      return UnsqueezeStep{step.unsqueeze().dim()};
    case v1::ConvertStep::kDeinterleave:
      return DeinterleaveStep{step.deinterleave().dim(),
                              step.deinterleave().inverse()};
    case v1::ConvertStep::kRope:
      return RopeStep{step.rope().heads(), step.rope().inverse()};
    case v1::ConvertStep::kScale:
      return ScaleStep{step.scale().factor()};
    case v1::ConvertStep::kCast: {
      absl::StatusOr<DType> dtype = ParseDType(step.cast().dtype());
      if (dtype.ok()) return CastStep{*dtype};
      return InvalidField(absl::StrCat(field, ".cast.dtype"),
                          dtype.status().message());
    }
    case v1::ConvertStep::STEP_NOT_SET:
      break;
  }
  return InvalidField(field, "has no step that this server knows");
}

absl::StatusOr<ConvertRule> FromProto(const v1::KeyRule::Convert& convert,
                                      const std::string& field) {
  ConvertRule rule;
  rule.from = ToVector(convert.from());
  rule.to = ToVector(convert.to());
  for (int i = 0; i < convert.steps_size(); ++i) {
    ASSIGN_OR_RETURN(
        ConvertStep step,
        FromProto(convert.steps(i), absl::StrCat(field, ".steps[", i, "]")));
    rule.steps.push_back(std::move(step));
  }
  return rule;
}

TemplateRule FromProto(const v1::KeyRule::Template& proto) {
  TemplateRule rule{proto.to(), proto.from(), {}};
  for (const v1::KeyRule::Template::Range& range : proto.ranges()) {
    rule.ranges.push_back({range.hole(), range.first(), range.last()});
  }
  return rule;
}

absl::StatusOr<KeyRuleKind> KindFromProto(const v1::KeyRule& rule,
                                          const std::string& field) {
  switch (rule.rule_case()) {
    case v1::KeyRule::kRename:
      return RenameRule{rule.rename().from(), rule.rename().to()};
    case v1::KeyRule::kRegex:
      return RegexRule{rule.regex().pattern(), rule.regex().replacement()};
    case v1::KeyRule::kStripPrefix:
      return StripPrefixRule{rule.strip_prefix()};
    case v1::KeyRule::kAddPrefix:
      return AddPrefixRule{rule.add_prefix()};
    case v1::KeyRule::kTemplate:
      return FromProto(rule.template_());
    case v1::KeyRule::kConvert: {
      ASSIGN_OR_RETURN(
          ConvertRule convert,
          FromProto(rule.convert(), absl::StrCat(field, ".convert")));
      return convert;
    }
    case v1::KeyRule::RULE_NOT_SET:
      break;
  }
  return InvalidField(field, "has no rule that this server knows");
}

PositionEmbeddingAdapter FromProto(
    const v1::ShapeAdapter::PositionEmbedding& proto) {
  PositionEmbeddingAdapter adapter;
  if (proto.has_prefix_tokens()) adapter.prefix_tokens = proto.prefix_tokens();
  adapter.source_grid = ToSizes(proto.source_grid());
  adapter.target_grid = ToSizes(proto.target_grid());
  return adapter;
}

RowsAdapter FromProto(const v1::ShapeAdapter::Rows& proto) {
  RowsAdapter adapter;
  adapter.dim = proto.dim();
  if (proto.mean()) adapter.rest = RowsAdapter::Rest::kMean;
  adapter.source_labels = ToVector(proto.source_labels());
  adapter.target_labels = ToVector(proto.target_labels());
  return adapter;
}

absl::StatusOr<ShapeAdapterKind> KindFromProto(const v1::ShapeAdapter& proto,
                                               const std::string& field) {
  switch (proto.kind_case()) {
    case v1::ShapeAdapter::kAuto:
      return AutoAdapter{};
    case v1::ShapeAdapter::kRows:
      return FromProto(proto.rows());
    case v1::ShapeAdapter::kInputChannels:
      return InputChannelsAdapter{};
    case v1::ShapeAdapter::kInflate:
      return InflateAdapter{proto.inflate().center()
                                ? InflateAdapter::Mode::kCenter
                                : InflateAdapter::Mode::kAverage};
    case v1::ShapeAdapter::kPositionEmbedding:
      return FromProto(proto.position_embedding());
    case v1::ShapeAdapter::kPositionEmbedding1D:
      return PositionEmbedding1dAdapter{};
    case v1::ShapeAdapter::kRelativePositionBias:
      return RelativePositionBiasAdapter{
          ToSizes(proto.relative_position_bias().source_window()),
          ToSizes(proto.relative_position_bias().target_window())};
    case v1::ShapeAdapter::kPatchEmbedding:
      return PatchEmbeddingAdapter{};
    case v1::ShapeAdapter::kSliceAndPad: {
      SliceAndPadAdapter adapter;
      if (proto.slice_and_pad().has_fill()) {
        adapter.fill = proto.slice_and_pad().fill();
      }
      return adapter;
    }
    case v1::ShapeAdapter::KIND_NOT_SET:
      break;
  }
  return InvalidField(field, "has no adapter that this server knows");
}

Widening::Slices FromProto(const v1::Widening::Slices& slices) {
  return {slices.key(), slices.dim()};
}

}  // namespace

absl::StatusOr<KeyRule> FromProto(const v1::KeyRule& proto, int index) {
  KeyRule rule;
  ASSIGN_OR_RETURN(
      rule.kind, KindFromProto(proto, absl::StrCat("key_rules[", index, "]")));
  rule.keys = ToVector(proto.keys());
  if (proto.has_source()) rule.source = proto.source();
  rule.priority = proto.priority();
  return rule;
}

absl::StatusOr<planner::Matching> FromProto(v1::KeyMatching matching) {
  switch (matching) {
    case v1::KEY_MATCHING_UNSPECIFIED:
    case v1::KEY_MATCHING_EXACT:
      return planner::Matching::kExact;
    case v1::KEY_MATCHING_AUTO:
      return planner::Matching::kAuto;
    default:
      return InvalidField("key_matching",
                          absl::StrCat(matching, " is unknown to this server"));
  }
}

planner::Combination FromProto(const v1::Combination& combination) {
  switch (combination.kind_case()) {
    case v1::Combination::kWeightedAverage:
      return planner::WeightedAverage{
          !combination.weighted_average().unnormalized()};
    case v1::Combination::kMovingAverage:
      return planner::MovingAverage{combination.moving_average().decay()};
    case v1::Combination::kSlerp:
      return planner::SphericalInterpolation{combination.slerp().t()};
    case v1::Combination::kTaskArithmetic:
      return planner::TaskArithmetic{};
    case v1::Combination::KIND_NOT_SET:
      break;
  }
  return planner::Overlay{};
}

planner::LoraAdapter FromProto(const v1::LoraAdapter& lora) {
  return {lora.alpha(), lora.rslora()};
}

absl::StatusOr<ShapeAdapter> FromProto(const v1::ShapeAdapter& proto,
                                       int index) {
  ShapeAdapter adapter;
  adapter.keys = proto.keys();
  ASSIGN_OR_RETURN(
      adapter.kind,
      KindFromProto(proto, absl::StrCat("shape_adapters[", index, "]")));
  return adapter;
}

Widening FromProto(const v1::Widening& proto) {
  Widening widening;
  for (const v1::Widening::Slices& slices : proto.outputs()) {
    widening.outputs.push_back(FromProto(slices));
  }
  for (const v1::Widening::Slices& slices : proto.inputs()) {
    widening.inputs.push_back(FromProto(slices));
  }
  return widening;
}

planner::CoverageGate FromProto(const v1::CoverageGate& gate) {
  return {gate.keys(), gate.min_coverage()};
}

}  // namespace warmstart::rpc
