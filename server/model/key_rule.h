// KeyRule: one step of turning a source's tensors into a target's.
//
// Rules see a source as an ordered map from keys to tensors, and each makes
// another map of it. Most change keys alone; ConvertRule computes tensors too.

#ifndef WARMSTART_SERVER_MODEL_KEY_RULE_H_
#define WARMSTART_SERVER_MODEL_KEY_RULE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/model/dtype.h"

namespace warmstart {

// The key `from`, and no other, becomes `to`.
struct RenameRule {
  std::string from;
  std::string to;
  friend bool operator==(const RenameRule&, const RenameRule&) = default;
};
// Every match of `pattern` (RE2 syntax) is replaced by `replacement`, in which
// \1 to \9 stand for the groups: Python's re.sub.
struct RegexRule {
  std::string pattern;
  std::string replacement;
  friend bool operator==(const RegexRule&, const RegexRule&) = default;
};
// Keys that start with `prefix` lose it; others stay as they are.
struct StripPrefixRule {
  std::string prefix;
  friend bool operator==(const StripPrefixRule&,
                         const StripPrefixRule&) = default;
};
// All keys get `prefix`.
struct AddPrefixRule {
  std::string prefix;
  friend bool operator==(const AddPrefixRule&, const AddPrefixRule&) = default;
};

// Templates are keys with holes. "{i}" is a whole number, all digits of it and
// none too many in front; "{i*}" is any text, the empty one too, and of several
// the first are as short as they can be; "{{" and "}}" are braces. Two holes of
// one name hold the same.

// Target keys that look like `to` come from the source key that `from` makes of
// their holes: "h.{i}.{rest*}" from "h.{2*i}.{rest*}" takes every other layer,
// from "h.{i/2}.{rest*}" each layer twice. Holes of `from` hold expressions of
// +, -, *, / (rounded down), % and parentheses over the whole numbers of `to`.
//
// One source key may supply several target keys. Source keys that look like
// `from`, any number in its holes, and that no target key takes, are left out.
// Template rules that follow each other see the same keys, so that ranges of
// layers can come from different places. Rules behind them may change the keys
// further where the holes of `to` follow from those of `from`, each standing
// there as a * i + b; else `to` is what the target has.
struct TemplateRule {
  // The rule holds for target keys whose `hole` is in [first, last].
  struct Range {
    std::string hole;
    int64_t first = 0;
    int64_t last = 0;
    friend bool operator==(const Range&, const Range&) = default;
  };

  std::string to;
  std::string from;
  std::vector<Range> ranges;
  friend bool operator==(const TemplateRule&, const TemplateRule&) = default;
};

// Steps of a ConvertRule. Dimensions may be negative, counted from the end.

// Joins all tensors along `dim`; where a stack follows, those of each number in
// the hole that is stacked over. With `groups`, each tensor's `dim` is taken as
// so many groups of equal size, and the result's groups hold one of each: fused
// attention weights whose heads are interleaved have groups = heads. `sizes`,
// if given, are what the tensors must have along `dim`; an inverted rule splits
// by them.
struct ConcatStep {
  int dim = 0;
  int64_t groups = 1;
  std::vector<int64_t> sizes;
  friend bool operator==(const ConcatStep&, const ConcatStep&) = default;
};
// The reverse: one tensor becomes one for each template of `to`; where that has
// a hole which `from` does not have, and no unstack follows, one for each
// number in it, from 0 on to as many as there are sizes or keys of the target.
// Without `sizes`, they are those of the target's tensors of these keys along
// `dim`, or equal parts where the target has none.
struct SplitStep {
  int dim = 0;
  int64_t groups = 1;
  std::vector<int64_t> sizes;
  friend bool operator==(const SplitStep&, const SplitStep&) = default;
};
// The tensors of each template of `from`, in the order of the hole that `to`
// does not have, become one with a new dimension.
struct StackStep {
  int dim = 0;
  friend bool operator==(const StackStep&, const StackStep&) = default;
};
// The reverse: slice i goes to the key in whose hole that `from` does not have
// is i.
struct UnstackStep {
  int dim = 0;
  friend bool operator==(const UnstackStep&, const UnstackStep&) = default;
};
// The following change each tensor by itself.
struct TransposeStep {
  int dim0 = 0;
  int dim1 = 1;
  friend bool operator==(const TransposeStep&, const TransposeStep&) = default;
};
struct PermuteStep {
  std::vector<int> dims;
  friend bool operator==(const PermuteStep&, const PermuteStep&) = default;
};
// 0 keeps the dimension of that position, -1 is what is left. `from`, if given,
// is the shape that the tensor must have, one -1 in it any size; an inverted
// rule needs it.
struct ReshapeStep {
  std::vector<int64_t> sizes;
  std::vector<int64_t> from;
  friend bool operator==(const ReshapeStep&, const ReshapeStep&) = default;
};
struct SqueezeStep {  // takes away a dimension, which is of size 1
  int dim = 0;
  friend bool operator==(const SqueezeStep&, const SqueezeStep&) = default;
};
struct UnsqueezeStep {  // adds one
  int dim = 0;
  friend bool operator==(const UnsqueezeStep&, const UnsqueezeStep&) = default;
};
// transformers' Interleave: pairs (a0, b0, a1, b1, ...) along `dim` become
// halves (a0, a1, ..., b0, b1, ...); `inverse` is the way back.
struct DeinterleaveStep {
  int dim = 0;
  bool inverse = false;
  friend bool operator==(const DeinterleaveStep&,
                         const DeinterleaveStep&) = default;
};
// transformers' PermuteForRope: rows of each head from pairs to halves.
// `inverse` is the way back.
struct RopeStep {
  int64_t heads = 1;
  bool inverse = false;
  friend bool operator==(const RopeStep&, const RopeStep&) = default;
};
struct ScaleStep {
  double factor = 1;
  friend bool operator==(const ScaleStep&, const ScaleStep&) = default;
};
struct CastStep {
  DType dtype = DType::kFloat32;
  friend bool operator==(const CastStep&, const CastStep&) = default;
};

using ConvertStep =
    std::variant<ConcatStep, SplitStep, StackStep, UnstackStep, TransposeStep,
                 PermuteStep, ReshapeStep, SqueezeStep, UnsqueezeStep,
                 DeinterleaveStep, RopeStep, ScaleStep, CastStep>;

// The tensors whose keys look like the templates of `from` become tensors whose
// keys look like those of `to`, by the steps in order. One conversion is made
// for each set of holes that `from` and `to` share; a set that lacks one of the
// templates of `from` is an error that names the key. Holes are plain here:
// expressions belong to TemplateRule.
struct ConvertRule {
  std::vector<std::string> from;
  std::vector<std::string> to;
  std::vector<ConvertStep> steps;
  friend bool operator==(const ConvertRule&, const ConvertRule&) = default;
};

using KeyRuleKind = std::variant<RenameRule, RegexRule, StripPrefixRule,
                                 AddPrefixRule, TemplateRule, ConvertRule>;

struct KeyRule {
  KeyRule() = default;
  // Implicit: most rules are of one kind and nothing else.
  template <typename Kind>
    requires std::is_constructible_v<KeyRuleKind, Kind>
  KeyRule(Kind rule) : kind(std::move(rule)) {}  // NOLINT

  KeyRuleKind kind;
  // The rule sees only the keys (as the rules before it left them) that match
  // one of these globs; all keys where there is none.
  std::vector<std::string> keys;
  // The rule is for this source alone.
  std::optional<int32_t> source;
  // Of two tensors that end on one key, the one with the higher priority wins:
  // the highest among the rules that made it, 0 for no rule. Of equal ones,
  // that is an error.
  int32_t priority = 0;

  friend bool operator==(const KeyRule&, const KeyRule&) = default;
};

// As the command line writes it: "--rename a=b", "--strip-prefix module."; what
// it has no short form for as "--rule" and the rule in JSON, quoted for a
// shell.
std::string KeyRuleToString(const KeyRule& rule);

// The rules that undo `rules`, in their order: what gives a checkpoint back in
// the layout that it came in. INVALID_ARGUMENT, naming the rule, for one that
// loses what it would take to undo it.
absl::StatusOr<std::vector<KeyRule>> InvertRules(
    absl::Span<const KeyRule> rules);

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_KEY_RULE_H_
