// MatchReport: the account that a warm start gives of every key, the target's
// and the sources'.

#ifndef WARMSTART_SERVER_MODEL_REPORT_H_
#define WARMSTART_SERVER_MODEL_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/architecture.h"
#include "server/model/tensor_spec.h"

namespace warmstart {

// What became of a key of the target. Exactly one for each.
enum class TargetOutcome {
  kMatched,      // loaded from the source key of the same name, unchanged
  kRenamed,      // loaded unchanged from a source key of another name
  kAdapted,      // computed from a source's tensors: a conversion, an adapter
  kAveraged,     // computed from several sources' tensors
  kCast,         // loaded after its dtype was changed
  kKept,         // loaded, and the source's dtype kept, as the policy asked
  kInitialized,  // not loaded; fresh values
};

// What became of a key of a source. Exactly one for each.
enum class SourceOutcome {
  kUsed,
  kUnexpected,  // the target has no such key
  kExcluded,    // left out by include, exclude, subtree or a template rule
  kShadowed,    // another, of an earlier source or by priority, had its key
  kMismatched,  // its shape did not fit, and the policy was to skip it
};

// A tensor of a source.
struct SourceTensorName {
  int32_t source = 0;
  std::string key;  // the full key

  friend bool operator==(const SourceTensorName&,
                         const SourceTensorName&) = default;
};

// What a conversion did to values. Counted when a plan is executed.
struct ValueCounts {
  int64_t overflowed = 0;   // finite, and infinite after the cast
  int64_t underflowed = 0;  // not zero, and zero after the cast

  friend bool operator==(const ValueCounts&, const ValueCounts&) = default;
};

struct TargetReport {
  std::string key;
  EntryKind kind = EntryKind::kParameter;
  TargetOutcome outcome = TargetOutcome::kInitialized;
  TensorSpec spec;  // of the result
  // The first tensor that it is made of.
  int32_t source = -1;                    // index of the source; -1: none
  std::string source_key;                 // its full key; "" for none
  std::optional<TensorSpec> source_spec;  // set with source_key
  // The others.
  std::vector<SourceTensorName> more_sources;
  std::vector<std::string> rules;  // those that made it, in order
  // How it is computed, where it is: "concat(q.weight, k.weight, dim=0)".
  std::string derivation;
  // What an adapter did, in words: "kept 30522 rows, initialized 5".
  std::string adaptation;
  // The initializer, where all or some of the values are fresh.
  std::string initializer;
  // The key of the target with which it shares its values; "" for none.
  std::string tied_to;
  ValueCounts counts;

  friend bool operator==(const TargetReport&, const TargetReport&) = default;
};

struct SourceReport {
  int32_t source = 0;
  std::string key;  // the full key
  SourceOutcome outcome = SourceOutcome::kUnexpected;
  TensorSpec spec;

  friend bool operator==(const SourceReport&, const SourceReport&) = default;
};

struct ShapeMismatch {
  std::string key;  // the target's
  std::string source_key;
  Shape source_shape;
  Shape target_shape;

  friend bool operator==(const ShapeMismatch&, const ShapeMismatch&) = default;
};

// Loaded and total; a part of the target that is empty counts as covered.
struct Coverage {
  int64_t keys_loaded = 0;
  int64_t keys_total = 0;
  int64_t parameters_loaded = 0;  // elements of parameters and buffers
  int64_t parameters_total = 0;
  int64_t bytes_loaded = 0;  // of the target
  int64_t bytes_total = 0;

  double KeyFraction() const;
  double ParameterFraction() const;
  double ByteFraction() const;

  friend bool operator==(const Coverage&, const Coverage&) = default;
};

// How often a rule applied.
struct RuleUse {
  std::string rule;
  int64_t keys = 0;
  bool automatic = false;  // found by matching, not given by the request

  friend bool operator==(const RuleUse&, const RuleUse&) = default;
};

// A rule that would match more, ready to be given.
struct RuleSuggestion {
  std::string rule;
  int64_t keys = 0;        // of the target, that it would supply
  int64_t parameters = 0;  // their elements

  friend bool operator==(const RuleSuggestion&,
                         const RuleSuggestion&) = default;
};

struct MatchReport {
  std::string architecture;  // as ArchitectureName::Parse takes it
  // What Python's load_state_dict returns or raises, to the letter:
  // "<All keys matched successfully>", "_IncompatibleKeys(missing_keys=[...],
  // unexpected_keys=[...])" or "Error(s) in loading state_dict for NetB:...".
  std::string summary;
  std::vector<std::string> missing_keys;     // in PyTorch's order
  std::vector<std::string> unexpected_keys;  // in PyTorch's order
  std::vector<ShapeMismatch> mismatched_keys;
  Coverage coverage;
  std::vector<TargetReport> entries;         // in the target's order
  std::vector<SourceReport> source_entries;  // in the sources' order
  std::vector<RuleUse> rules;
  std::vector<RuleSuggestion> suggestions;
  // The subtree taken from each source: asked for or found; "" for the root.
  std::vector<std::string> subtrees;
  // What a person should know and no field says: a subtree that was chosen, a
  // rule that matched nothing.
  std::vector<std::string> notes;

  friend bool operator==(const MatchReport&, const MatchReport&) = default;
};

// "matched", "renamed", ...
absl::string_view TargetOutcomeName(TargetOutcome outcome);
absl::string_view SourceOutcomeName(SourceOutcome outcome);

// The form in which catalogs keep a report: a JSON object. FromJson takes what
// ToJson gave, from this version or an earlier one; DATA_LOSS for other text.
std::string MatchReportToJson(const MatchReport& report);
absl::StatusOr<MatchReport> MatchReportFromJson(absl::string_view json);

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_REPORT_H_
