// InvertRules, declared in key_rule.h.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/model/key_rule.h"
#include "server/model/key_template.h"

namespace warmstart {
namespace {

absl::Status Lost(absl::string_view why) {
  return absl::InvalidArgumentError(why);
}

// ---- Regular expressions

// The text that a pattern without operators stands for.
std::optional<std::string> PlainText(absl::string_view pattern) {
  std::string text;
  while (!pattern.empty()) {
    char c = pattern[0];
    pattern.remove_prefix(1);
    if (c == '\\') {
      // Before a letter or a digit, it makes an operator.
      if (pattern.empty() || !absl::ascii_ispunct(pattern[0])) return {};
      c = pattern[0];
      pattern.remove_prefix(1);
    } else if (absl::StrContains(".*+?()[]{}|^$", c)) {
      return std::nullopt;
    }
    text += c;
  }
  return text;
}

std::string Quoted(absl::string_view text) {
  std::string pattern;
  for (char c : text) {
    if (absl::ascii_ispunct(c) && c != '_') pattern += '\\';
    pattern += c;
  }
  return pattern;
}

// Plain text at the start, or of the whole key, can be put back. Anywhere else,
// nobody knows which of two places it came from.
absl::StatusOr<KeyRuleKind> InvertRegex(const RegexRule& rule) {
  absl::string_view pattern = rule.pattern;
  const bool at_start = absl::ConsumePrefix(&pattern, "^");
  const bool at_end = absl::EndsWith(pattern, "$") &&
                      !absl::EndsWith(pattern, "\\$") &&
                      absl::ConsumeSuffix(&pattern, "$");
  const std::optional<std::string> text = PlainText(pattern);
  if (!at_start || !text.has_value() ||
      absl::StrContains(rule.replacement, '\\')) {
    return Lost(
        "a regular expression can only be undone where it is \"^\" and plain "
        "text, and replaced by plain text");
  }
  return RegexRule{
      absl::StrCat("^", Quoted(rule.replacement), at_end ? "$" : ""),
      absl::StrReplaceAll(*text, {{"\\", "\\\\"}})};
}

// ---- Templates

std::string LiteralText(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"{", "{{"}, {"}", "}}"}});
}

// By how much `from` shifts each number of `to`: 12 for "{i + 12}".
using Shifts = std::map<std::string, int64_t>;

absl::StatusOr<Shifts> ShiftsOf(const KeyTemplate& from) {
  Shifts shifts;
  for (const KeyTemplate::Part& part : from.parts()) {
    const auto* hole = std::get_if<KeyTemplate::NumberHole>(&part);
    if (hole == nullptr) continue;
    const auto& line = hole->expression.line();
    if (!line.has_value() || line->coefficient != 1) {
      return Lost(
          absl::StrCat("{", hole->text, "} is no hole plus or minus a number"));
    }
    const auto [shift, is_new] =
        shifts.try_emplace(line->variable, line->constant);
    if (!is_new && shift->second != line->constant) {
      return Lost(
          absl::StrCat("two numbers are made of {", line->variable, "}"));
    }
  }
  return shifts;
}

// The template with a number hole "{i}" as "{i - shift}".
std::string ShiftedBack(const KeyTemplate& plain, const Shifts& shifts) {
  std::string text;
  for (const KeyTemplate::Part& part : plain.parts()) {
    if (const auto* literal = std::get_if<KeyTemplate::Literal>(&part)) {
      text += LiteralText(literal->text);
    } else if (const auto* hole = std::get_if<KeyTemplate::TextHole>(&part)) {
      absl::StrAppend(&text, "{", hole->name, "*}");
    } else {
      const auto& number = std::get<KeyTemplate::NumberHole>(part);
      const std::string& name = number.expression.line()->variable;
      const auto found = shifts.find(name);
      const int64_t shift = found == shifts.end() ? 0 : found->second;
      absl::StrAppend(&text, "{", name);
      if (shift > 0) absl::StrAppend(&text, "-", shift);
      // Of the least int64 there is no negative; its digits are the same.
      if (shift < 0) absl::StrAppend(&text, "+", absl::StrCat(shift).substr(1));
      absl::StrAppend(&text, "}");
    }
  }
  return text;
}

// The template with a number hole "{i + 12}" as "{i}".
std::string WithoutShifts(const KeyTemplate& from) {
  std::string text;
  for (const KeyTemplate::Part& part : from.parts()) {
    if (const auto* literal = std::get_if<KeyTemplate::Literal>(&part)) {
      text += LiteralText(literal->text);
    } else if (const auto* hole = std::get_if<KeyTemplate::TextHole>(&part)) {
      absl::StrAppend(&text, "{", hole->name, "*}");
    } else {
      const auto& number = std::get<KeyTemplate::NumberHole>(part);
      absl::StrAppend(&text, "{", number.expression.line()->variable, "}");
    }
  }
  return text;
}

absl::Status CheckNames(const KeyTemplate& to, const KeyTemplate& from) {
  for (const auto& names : {to.number_names(), to.text_names()}) {
    for (const std::string& name : names) {
      if (!from.HasName(name)) {
        return Lost(absl::StrCat("several keys are made of one, since `from` ",
                                 "does not have the hole {", name, "}"));
      }
    }
  }
  for (const auto& names : {from.number_names(), from.text_names()}) {
    for (const std::string& name : names) {
      if (!to.HasName(name)) {
        return Lost(absl::StrCat("`to` does not have the hole {", name, "}"));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<KeyRuleKind> InvertTemplate(const TemplateRule& rule) {
  ASSIGN_OR_RETURN(const KeyTemplate to, KeyTemplate::Parse(rule.to));
  ASSIGN_OR_RETURN(const KeyTemplate from, KeyTemplate::Parse(rule.from));
  if (!to.IsPlain()) return Lost("`to` has a hole that is no name");
  RETURN_IF_ERROR(CheckNames(to, from));
  ASSIGN_OR_RETURN(const Shifts shifts, ShiftsOf(from));
  TemplateRule inverse{WithoutShifts(from), ShiftedBack(to, shifts), {}};
  for (TemplateRule::Range range : rule.ranges) {
    const auto shift = shifts.find(range.hole);
    if (shift == shifts.end()) {
      return Lost(absl::StrCat("there is no number {", range.hole, "}"));
    }
    if (__builtin_add_overflow(range.first, shift->second, &range.first) ||
        __builtin_add_overflow(range.last, shift->second, &range.last)) {
      return Lost("a number is beyond 64 bits");
    }
    inverse.ranges.push_back(std::move(range));
  }
  return inverse;
}

// ---- Conversions

using Step = absl::StatusOr<ConvertStep>;

// The shape that a reshape to `sizes` makes of `from`, -1 for any size.
absl::StatusOr<std::vector<int64_t>> ShapeAfter(
    const std::vector<int64_t>& sizes, const std::vector<int64_t>& from) {
  // What is kept in its place cancels out.
  std::vector<int64_t> shape = sizes;
  int64_t before = 1;
  int64_t after = 1;
  bool any_before = false;
  for (size_t i = 0; i < from.size(); ++i) {
    const bool kept = i < sizes.size() && sizes[i] == 0;
    if (kept) shape[i] = from[i];
    if (kept) continue;
    if (from[i] == -1) any_before = true;
    if (from[i] != -1 && __builtin_mul_overflow(before, from[i], &before)) {
      return Lost("a number is beyond 64 bits");
    }
  }
  std::optional<size_t> rest;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0) {
      if (i >= from.size()) return Lost("`from` has fewer dimensions");
    } else if (sizes[i] == -1) {
      rest = i;
    } else if (__builtin_mul_overflow(after, sizes[i], &after)) {
      return Lost("a number is beyond 64 bits");
    }
  }
  if (rest.has_value() && !any_before) shape[*rest] = before / after;
  return shape;
}

Step InvertReshape(const ReshapeStep& step) {
  if (step.from.empty()) {
    return Lost("a reshape can only be undone where it says what it is from");
  }
  if (std::count(step.from.begin(), step.from.end(), 0) > 0) {
    return Lost("a reshape of an empty tensor cannot be undone");
  }
  ReshapeStep inverse{step.from, {}};
  ASSIGN_OR_RETURN(inverse.from, ShapeAfter(step.sizes, step.from));
  if (std::count(inverse.sizes.begin(), inverse.sizes.end(), -1) > 1 ||
      std::count(inverse.from.begin(), inverse.from.end(), -1) > 1) {
    return Lost("a reshape can only be undone with one size unknown");
  }
  return inverse;
}

struct InvertStep {
  Step operator()(const ConcatStep& step) const {
    return SplitStep{step.dim, step.groups, step.sizes};
  }
  Step operator()(const SplitStep& step) const {
    return ConcatStep{step.dim, step.groups, step.sizes};
  }
  Step operator()(const StackStep& step) const { return UnstackStep{step.dim}; }
  Step operator()(const UnstackStep& step) const { return StackStep{step.dim}; }
  Step operator()(const TransposeStep& step) const { return step; }
  Step operator()(const PermuteStep& step) const {
    const int rank = static_cast<int>(step.dims.size());
    PermuteStep inverse{std::vector<int>(rank, -1)};
    for (int i = 0; i < rank; ++i) {
      const int dim = step.dims[i] < 0 ? step.dims[i] + rank : step.dims[i];
      if (dim < 0 || dim >= rank || inverse.dims[dim] != -1) {
        return Lost("a permute is no order of dimensions");
      }
      inverse.dims[dim] = i;
    }
    return inverse;
  }
  Step operator()(const ReshapeStep& step) const { return InvertReshape(step); }
  Step operator()(const SqueezeStep& step) const {
    return UnsqueezeStep{step.dim};
  }
  Step operator()(const UnsqueezeStep& step) const {
    return SqueezeStep{step.dim};
  }
  Step operator()(const DeinterleaveStep& step) const {
    return DeinterleaveStep{step.dim, !step.inverse};
  }
  Step operator()(const RopeStep& step) const {
    return RopeStep{step.heads, !step.inverse};
  }
  Step operator()(const ScaleStep& step) const {
    const double inverse = 1 / step.factor;
    if (step.factor == 0 || !std::isfinite(inverse)) {
      return Lost(
          absl::StrCat("a scale by ", step.factor, " cannot be undone"));
    }
    return ScaleStep{inverse};
  }
  Step operator()(const CastStep&) const {
    return Lost("a cast may lose what it would take to undo it");
  }
};

absl::StatusOr<KeyRuleKind> InvertConvert(const ConvertRule& rule) {
  ConvertRule inverse{rule.to, rule.from, {}};
  for (auto step = rule.steps.rbegin(); step != rule.steps.rend(); ++step) {
    ASSIGN_OR_RETURN(ConvertStep inverted, std::visit(InvertStep{}, *step));
    inverse.steps.push_back(std::move(inverted));
  }
  return inverse;
}

// ---- Rules

struct InvertKind {
  using Result = absl::StatusOr<KeyRuleKind>;

  Result operator()(const RenameRule& rule) const {
    return RenameRule{rule.to, rule.from};
  }
  Result operator()(const RegexRule& rule) const { return InvertRegex(rule); }
  Result operator()(const StripPrefixRule& rule) const {
    return AddPrefixRule{rule.prefix};
  }
  Result operator()(const AddPrefixRule& rule) const {
    return StripPrefixRule{rule.prefix};
  }
  Result operator()(const TemplateRule& rule) const {
    return InvertTemplate(rule);
  }
  Result operator()(const ConvertRule& rule) const {
    return InvertConvert(rule);
  }
};

std::string GlobLiteral(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"*", "[*]"}, {"?", "[?]"}, {"[", "[[]"}});
}

// What a glob on keys becomes when the rule has changed them; nullopt where no
// glob says the same of the keys afterwards.
struct GlobAfter {
  using Result = std::optional<std::string>;
  const std::string& glob;

  // It names one key, and is left out of the globs' reach by nothing else.
  Result operator()(const RenameRule& rule) const {
    if (glob == GlobLiteral(rule.from)) return GlobLiteral(rule.to);
    return std::nullopt;
  }
  Result operator()(const RegexRule&) const { return std::nullopt; }
  Result operator()(const StripPrefixRule& rule) const {
    absl::string_view rest = glob;
    if (!absl::ConsumePrefix(&rest, GlobLiteral(rule.prefix))) return {};
    return std::string(rest);
  }
  Result operator()(const AddPrefixRule& rule) const {
    return absl::StrCat(GlobLiteral(rule.prefix), glob);
  }
  Result operator()(const TemplateRule& rule) const {
    return rule.from == rule.to ? Result(glob) : std::nullopt;
  }
  Result operator()(const ConvertRule& rule) const {
    return rule.from == rule.to ? Result(glob) : std::nullopt;
  }
};

absl::StatusOr<KeyRule> Invert(const KeyRule& rule) {
  KeyRule inverse = rule;
  ASSIGN_OR_RETURN(inverse.kind, std::visit(InvertKind{}, rule.kind));
  for (std::string& glob : inverse.keys) {
    if (glob == "*") continue;
    const std::optional<std::string> after =
        std::visit(GlobAfter{glob}, rule.kind);
    if (!after.has_value()) {
      return Lost(
          absl::StrCat("it is for the keys '", glob,
                       "' alone, and they have other names afterwards"));
    }
    glob = *after;
  }
  return inverse;
}

}  // namespace

absl::StatusOr<std::vector<KeyRule>> InvertRules(
    absl::Span<const KeyRule> rules) {
  std::vector<KeyRule> inverse;
  for (size_t i = rules.size(); i-- > 0;) {
    absl::StatusOr<KeyRule> inverted = Invert(rules[i]);
    if (!inverted.ok()) {
      return WithErrorInfo(
          absl::InvalidArgumentError(
              absl::StrCat("the rule ", KeyRuleToString(rules[i]),
                           " cannot be undone: ", inverted.status().message())),
          reason::kInvalidRule,
          {{"field", absl::StrCat("key_rules[", i, "]")}});
    }
    inverse.push_back(*std::move(inverted));
  }
  return inverse;
}

}  // namespace warmstart
