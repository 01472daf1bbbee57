#include "server/model/key_template.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/base/status_macros.h"

namespace warmstart {
namespace {

using Part = KeyTemplate::Part;

bool IsName(absl::string_view text) {
  return !text.empty() && !absl::ascii_isdigit(text[0]) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

bool Contains(const std::vector<std::string>& names, absl::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void AddOnce(absl::string_view name, std::vector<std::string>* names) {
  if (!Contains(*names, name)) names->emplace_back(name);
}

}  // namespace

bool KeyTemplate::NumberHole::IsPlain() const {
  const std::optional<IntegerExpression::Line>& line = expression.line();
  return line.has_value() && line->coefficient == 1 && line->constant == 0;
}

absl::Status KeyTemplate::AddHole(absl::string_view hole) {
  Part part;
  absl::string_view name = hole;
  if (absl::ConsumeSuffix(&name, "*") && IsName(name)) {
    AddOnce(name, &texts_);
    part = TextHole{std::string(name)};
  } else {
    absl::StatusOr<IntegerExpression> expression =
        IntegerExpression::Parse(hole);
    if (!expression.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "in the hole {", hole, "}, ", expression.status().message()));
    }
    for (const std::string& variable : expression->variables()) {
      AddOnce(variable, &numbers_);
    }
    part = NumberHole{std::string(hole), *std::move(expression)};
  }
  if (!parts_.empty() && parts_.back().index() == part.index()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "nothing is between the hole {", hole, "} and the one before it"));
  }
  parts_.push_back(std::move(part));
  return absl::OkStatus();
}

absl::StatusOr<KeyTemplate> KeyTemplate::Parse(absl::string_view text) {
  KeyTemplate parsed;
  std::string literal;
  const auto end_literal = [&] {
    if (!literal.empty()) {
      parsed.parts_.emplace_back(Literal{std::exchange(literal, "")});
    }
  };
  size_t holes = 0;
  while (!text.empty()) {
    if (absl::ConsumePrefix(&text, "{{")) {
      literal += '{';
    } else if (absl::ConsumePrefix(&text, "}}")) {
      literal += '}';
    } else if (absl::StartsWith(text, "}")) {
      return absl::InvalidArgumentError(
          "a '}' closes nothing; a brace of the key is written '}}'");
    } else if (absl::ConsumePrefix(&text, "{")) {
      const size_t close = text.find('}');
      if (close == absl::string_view::npos) {
        return absl::InvalidArgumentError(
            "a '{' is not closed; a brace of the key is written '{{'");
      }
      end_literal();
      RETURN_IF_ERROR(parsed.AddHole(text.substr(0, close)));
      if (++holes > kMaxHoles) {
        return absl::InvalidArgumentError(
            absl::StrCat("it has more than ", kMaxHoles, " holes"));
      }
      text.remove_prefix(close + 1);
    } else {
      literal += text[0];
      text.remove_prefix(1);
    }
  }
  end_literal();
  for (const std::string& name : parsed.texts_) {
    if (Contains(parsed.numbers_, name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", name, "' is used for a number and for a text"));
    }
  }
  return parsed;
}

absl::StatusOr<std::optional<std::string>> KeyTemplate::Render(
    const Holes& holes) const {
  std::string key;
  for (const Part& part : parts_) {
    if (const auto* literal = std::get_if<Literal>(&part)) {
      key += literal->text;
    } else if (const auto* text = std::get_if<TextHole>(&part)) {
      key += std::get<std::string>(holes.at(text->name));
    } else {
      ASSIGN_OR_RETURN(const int64_t number,
                       std::get<NumberHole>(part).expression.Evaluate(
                           [&](const std::string& name) {
                             return std::get<int64_t>(holes.at(name));
                           }));
      if (number < 0) return std::optional<std::string>();
      absl::StrAppend(&key, number);
    }
  }
  return std::optional<std::string>(std::move(key));
}

bool KeyTemplate::HasName(absl::string_view name) const {
  return Contains(numbers_, name) || Contains(texts_, name);
}

bool KeyTemplate::IsPlain() const {
  return std::all_of(parts_.begin(), parts_.end(), [](const Part& part) {
    const auto* number = std::get_if<NumberHole>(&part);
    return number == nullptr || number->IsPlain();
  });
}

}  // namespace warmstart
