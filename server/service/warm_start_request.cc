#include "server/service/warm_start_request.h"

#include <bit>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace warmstart::service {
namespace {

constexpr size_t kMaxSources = 64;
// Of each kind of rule, glob, adapter and so on: each is tried on each key.
constexpr size_t kMaxPatterns = 1000;
// Of what is listed in all of one kind together.
constexpr size_t kMaxParts = 10 * kMaxPatterns;
// Of the vocabularies of all adapters, whose labels are looked up.
constexpr size_t kMaxLabels = size_t{1} << 21;

size_t NumParts(const KeyRule& rule) {
  const auto* convert = std::get_if<ConvertRule>(&rule.kind);
  return rule.keys.size() + (convert == nullptr
                                 ? 0
                                 : convert->from.size() + convert->to.size() +
                                       convert->steps.size());
}

size_t NumSlices(const Widening& widening) {
  return widening.outputs.size() + widening.inputs.size();
}

size_t NumLabels(const ShapeAdapter& adapter) {
  const auto* rows = std::get_if<RowsAdapter>(&adapter.kind);
  return rows == nullptr
             ? 0
             : rows->source_labels.size() + rows->target_labels.size();
}

template <typename T, typename Count>
size_t Total(const std::vector<T>& items, const Count& count) {
  size_t total = 0;
  for (const T& item : items) total += count(item);
  return total;
}

// Writes a request's fields, each with its length, lists with their sizes and
// variants with their index.
class Writer {
 public:
  void operator()(absl::string_view text) { fingerprint_.Add(text); }
  void operator()(const std::string& text) { fingerprint_.Add(text); }
  void operator()(bool value) { Number(value ? 1 : 0); }
  void operator()(int value) { Number(value); }
  void operator()(int64_t value) { Number(value); }
  void operator()(uint64_t value) { Number(std::bit_cast<int64_t>(value)); }
  // By its bits: in text, numbers that differ could look alike.
  void operator()(double value) { Number(std::bit_cast<int64_t>(value)); }
  template <typename T>
    requires std::is_enum_v<T>
  void operator()(T value) {
    Number(static_cast<int64_t>(value));
  }

  template <typename T>
  void operator()(const std::vector<T>& list) {
    Number(static_cast<int64_t>(list.size()));
    for (const T& item : list) (*this)(item);
  }
  template <typename T>
  void operator()(const std::optional<T>& value) {
    (*this)(value.has_value());
    if (value.has_value()) (*this)(*value);
  }
  template <typename... T>
  void operator()(const std::variant<T...>& value) {
    Number(static_cast<int64_t>(value.index()));
    std::visit(*this, value);
  }
  void operator()(const store::Labels& labels) { fingerprint_.Add(labels); }
  void operator()(const store::Expiration& expiration) {
    fingerprint_.Add(expiration);
  }

  void operator()(const WarmStartSource& source) {
    Add(source.checkpoint, source.subtree, source.weight, source.lora);
  }
  void operator()(const planner::LoraAdapter& lora) {
    Add(lora.alpha, lora.rslora);
  }

  // A rule's text tells those with fields of their own lists, as JSON; that of
  // the plain ones may be the same for two of them, so their fields follow.
  void operator()(const KeyRule& rule) {
    Add(rule.keys, rule.source, rule.priority, KeyRuleToString(rule),
        rule.kind);
  }
  void operator()(const RenameRule& rule) { Add(rule.from, rule.to); }
  void operator()(const RegexRule& rule) {
    Add(rule.pattern, rule.replacement);
  }
  void operator()(const StripPrefixRule& rule) { Add(rule.prefix); }
  void operator()(const AddPrefixRule& rule) { Add(rule.prefix); }
  void operator()(const TemplateRule&) {}
  void operator()(const ConvertRule&) {}

  void operator()(const planner::Overlay&) {}
  void operator()(const planner::WeightedAverage& average) {
    Add(average.normalize);
  }
  void operator()(const planner::MovingAverage& average) { Add(average.decay); }
  void operator()(const planner::SphericalInterpolation& slerp) {
    Add(slerp.t);
  }
  void operator()(const planner::TaskArithmetic&) {}

  void operator()(const ShapeAdapter& adapter) {
    Add(adapter.keys, adapter.kind);
  }
  void operator()(const AutoAdapter&) {}
  void operator()(const RowsAdapter& rows) {
    Add(rows.dim, rows.rest, rows.source_labels, rows.target_labels);
  }
  void operator()(const InputChannelsAdapter&) {}
  void operator()(const InflateAdapter& inflate) { Add(inflate.mode); }
  void operator()(const PositionEmbeddingAdapter& position) {
    Add(position.prefix_tokens, position.source_grid, position.target_grid);
  }
  void operator()(const PositionEmbedding1dAdapter&) {}
  void operator()(const RelativePositionBiasAdapter& bias) {
    Add(bias.source_window, bias.target_window);
  }
  void operator()(const PatchEmbeddingAdapter&) {}
  void operator()(const SliceAndPadAdapter& pad) { Add(pad.fill); }

  void operator()(const Widening& widening) {
    Add(widening.outputs, widening.inputs);
  }
  void operator()(const Widening::Slices& slices) {
    Add(slices.key, slices.dim);
  }

  void operator()(const planner::InitializerOverride& override) {
    Add(override.keys, override.initializer);
  }
  void operator()(const ConstantInit& init) { Add(init.value); }
  void operator()(const NormalInit& init) {
    Add(init.mean, init.std, init.zero_row);
  }
  void operator()(const UniformInit& init) { Add(init.low, init.high); }
  void operator()(const KaimingUniformInit& init) {
    Add(init.a, init.mode, init.nonlinearity);
  }
  void operator()(const KaimingNormalInit& init) {
    Add(init.a, init.mode, init.nonlinearity);
  }
  void operator()(const XavierUniformInit& init) { Add(init.gain); }
  void operator()(const XavierNormalInit& init) { Add(init.gain); }
  void operator()(const TruncNormalInit& init) {
    Add(init.mean, init.std, init.a, init.b);
  }
  void operator()(const OrthogonalInit& init) { Add(init.gain); }
  void operator()(const SparseInit& init) { Add(init.sparsity, init.std); }
  void operator()(const EyeInit&) {}
  void operator()(const DiracInit& init) { Add(init.groups); }
  void operator()(const FanInUniformInit& init) { Add(init.fan_in); }
  void operator()(const StoredInit& init) { Add(init.key); }

  void operator()(const planner::CoverageGate& gate) {
    Add(gate.keys, gate.min_coverage);
  }

  template <typename... T>
  void Add(const T&... fields) {
    ((*this)(fields), ...);
  }
  Digest Finish() { return fingerprint_.Finish(); }

 private:
  void Number(int64_t value) { fingerprint_.Add(absl::StrCat(value)); }

  Fingerprint fingerprint_;
};

}  // namespace

absl::Status CheckCount(absl::string_view field, size_t used, size_t most) {
  if (used <= most) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("there are ", used, ", at most ",
                                          most, " are allowed"));
}

absl::Status CheckCounts(const WarmStartRequest& request) {
  RETURN_IF_ERROR(CheckCount("sources", request.sources.size(), kMaxSources));
  for (const auto& [field, count] : {
           std::pair("key_rules", request.rules.size()),
           std::pair("include", request.include.size()),
           std::pair("exclude", request.exclude.size()),
           std::pair("shape_adapters", request.shape_adapters.size()),
           std::pair("widenings", request.widenings.size()),
           std::pair("initializers", request.initializers.size()),
           std::pair("coverage_gates", request.coverage_gates.size()),
           std::pair("expected_missing", request.expected_missing.size()),
           std::pair("expected_unexpected", request.expected_unexpected.size()),
       }) {
    RETURN_IF_ERROR(CheckCount(field, count, kMaxPatterns));
  }
  RETURN_IF_ERROR(CheckCount("key_rules' keys, templates and steps",
                             Total(request.rules, NumParts), kMaxParts));
  RETURN_IF_ERROR(CheckCount("widenings' slices",
                             Total(request.widenings, NumSlices), kMaxParts));
  return CheckCount("shape_adapters' labels",
                    Total(request.shape_adapters, NumLabels), kMaxLabels);
}

Digest FingerprintOf(const WarmStartRequest& request) {
  Writer writer;
  writer(absl::string_view("WarmStart"));
  writer.Add(request.architecture, request.sources, request.rules,
             request.invert_rules, request.include, request.exclude,
             request.matching, request.combination, request.shape_adapters,
             request.widenings, request.initializers, request.strict,
             request.on_shape_mismatch, request.on_dtype_mismatch,
             request.min_coverage, request.coverage_gates,
             request.expected_missing, request.expected_unexpected,
             request.refuse_non_finite, request.device, request.seed,
             request.options.labels, request.options.alias,
             request.options.expiration);
  return writer.Finish();
}

}  // namespace warmstart::service
