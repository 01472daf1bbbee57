#include "server/planner/rules/template_matcher.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace warmstart::planner {
namespace {

using Part = KeyTemplate::Part;

std::string Pattern(const KeyTemplate& key_template) {
  std::string pattern = "(?s)\\A";
  for (const Part& part : key_template.parts()) {
    if (const auto* literal = std::get_if<KeyTemplate::Literal>(&part)) {
      pattern += re2::RE2::QuoteMeta(literal->text);
    } else if (std::holds_alternative<KeyTemplate::TextHole>(part)) {
      pattern += "(.*?)";
    } else {
      pattern += "(0|[1-9][0-9]*)";
    }
  }
  return pattern + "\\z";
}

std::string LiteralOf(const Part& part) {
  const auto* literal = std::get_if<KeyTemplate::Literal>(&part);
  return literal == nullptr ? "" : literal->text;
}

bool CanSolve(const KeyTemplate& key_template) {
  const std::vector<std::string>& names = key_template.number_names();
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return std::any_of(
        key_template.parts().begin(), key_template.parts().end(),
        [&](const Part& part) {
          const auto* hole = std::get_if<KeyTemplate::NumberHole>(&part);
          return hole != nullptr && hole->expression.line().has_value() &&
                 hole->expression.line()->variable == name;
        });
  });
}

// The whole number for which `line` is `value`.
std::optional<int64_t> Solve(const IntegerExpression::Line& line,
                             int64_t value) {
  int64_t difference = 0;
  if (__builtin_sub_overflow(value, line.constant, &difference)) return {};
  if (line.coefficient == -1) {  // the one division that can overflow
    if (difference > 0 || difference == std::numeric_limits<int64_t>::min()) {
      return std::nullopt;
    }
    return -difference;
  }
  if (difference % line.coefficient != 0) return std::nullopt;
  const int64_t solution = difference / line.coefficient;
  return solution < 0 ? std::nullopt : std::optional<int64_t>(solution);
}

}  // namespace

struct TemplateMatcher::Captures {
  std::array<re2::StringPiece, KeyTemplate::kMaxHoles> holes;
};

TemplateMatcher::TemplateMatcher(KeyTemplate key_template)
    : template_(std::move(key_template)), solvable_(CanSolve(template_)) {
  if (template_.parts().empty()) return;
  prefix_ = LiteralOf(template_.parts().front());
  suffix_ = LiteralOf(template_.parts().back());
}

TemplateMatcher::~TemplateMatcher() = default;
TemplateMatcher::TemplateMatcher(TemplateMatcher&&) noexcept = default;
TemplateMatcher& TemplateMatcher::operator=(TemplateMatcher&&) noexcept =
    default;

absl::StatusOr<TemplateMatcher> TemplateMatcher::Create(
    KeyTemplate key_template) {
  TemplateMatcher matcher(std::move(key_template));
  matcher.regex_ =
      std::make_unique<re2::RE2>(Pattern(matcher.template_), re2::RE2::Quiet);
  if (!matcher.regex_->ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot be used: ", matcher.regex_->error()));
  }
  return matcher;
}

bool TemplateMatcher::Capture(absl::string_view key, Captures* captures) const {
  if (!absl::StartsWith(key, prefix_) || !absl::EndsWith(key, suffix_)) {
    return false;
  }
  std::array<re2::RE2::Arg, KeyTemplate::kMaxHoles> values;
  std::array<const re2::RE2::Arg*, KeyTemplate::kMaxHoles> arguments;
  const int count = regex_->NumberOfCapturingGroups();
  for (int i = 0; i < count; ++i) {
    values[i] = re2::RE2::Arg(&captures->holes[i]);
    arguments[i] = &values[i];
  }
  return re2::RE2::FullMatchN(re2::StringPiece(key.data(), key.size()), *regex_,
                              arguments.data(), count);
}

bool TemplateMatcher::LooksLike(absl::string_view key) const {
  return absl::StartsWith(key, prefix_) && absl::EndsWith(key, suffix_) &&
         re2::RE2::FullMatch(re2::StringPiece(key.data(), key.size()), *regex_);
}

std::optional<Holes> TemplateMatcher::Match(absl::string_view key) const {
  Captures captures;
  if (!Capture(key, &captures)) return std::nullopt;
  Holes holes;
  size_t hole = 0;
  for (const Part& part : template_.parts()) {
    if (std::holds_alternative<KeyTemplate::Literal>(part)) continue;
    const absl::string_view value(captures.holes[hole].data(),
                                  captures.holes[hole].size());
    ++hole;
    if (const auto* text = std::get_if<KeyTemplate::TextHole>(&part)) {
      holes.try_emplace(text->name, std::string(value));
      continue;
    }
    int64_t number = 0;
    if (!absl::SimpleAtoi(value, &number)) return std::nullopt;
    const auto& line =
        std::get<KeyTemplate::NumberHole>(part).expression.line();
    if (!line.has_value()) continue;
    const std::optional<int64_t> solution = Solve(*line, number);
    if (!solution.has_value()) return std::nullopt;
    holes.try_emplace(line->variable, *solution);
  }
  // Names that stand twice, and holes that are no lines, may say otherwise.
  const absl::StatusOr<std::optional<std::string>> made =
      template_.Render(holes);
  if (!made.ok() || !made->has_value() || **made != key) return std::nullopt;
  return holes;
}

}  // namespace warmstart::planner
