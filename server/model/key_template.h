// KeyTemplate: a key with holes, "h.{i}.{rest*}", as KeyRule documents them.

#ifndef WARMSTART_SERVER_MODEL_KEY_TEMPLATE_H_
#define WARMSTART_SERVER_MODEL_KEY_TEMPLATE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/integer_expression.h"

namespace warmstart {

// What stands in the holes: whole numbers, which are not negative, and texts.
using HoleValue = std::variant<int64_t, std::string>;
using Holes = std::map<std::string, HoleValue, std::less<>>;

class KeyTemplate {
 public:
  static constexpr size_t kMaxHoles = 16;

  struct Literal {
    std::string text;
  };
  struct NumberHole {
    std::string text;  // as written: "2*i"
    IntegerExpression expression;

    // "i", and not "2*i".
    bool IsPlain() const;
  };
  struct TextHole {
    std::string name;
  };
  using Part = std::variant<Literal, NumberHole, TextHole>;

  // INVALID_ARGUMENT, with a sentence, for text that is no template: a brace
  // that has no other, an expression that is none, a name that is used for
  // numbers and texts, two holes of one kind with nothing between them (nobody
  // could say where one ends), more than kMaxHoles.
  static absl::StatusOr<KeyTemplate> Parse(absl::string_view text);

  // The key with these values, which must be there for every name. Nullopt
  // where a number would be negative. INVALID_ARGUMENT for a number that cannot
  // be computed.
  absl::StatusOr<std::optional<std::string>> Render(const Holes& holes) const;

  const std::vector<Part>& parts() const { return parts_; }
  // Each once, in the order of their first use.
  const std::vector<std::string>& number_names() const { return numbers_; }
  const std::vector<std::string>& text_names() const { return texts_; }
  bool HasName(absl::string_view name) const;
  // Whether no hole holds more than a name.
  bool IsPlain() const;

 private:
  absl::Status AddHole(absl::string_view hole);

  std::vector<Part> parts_;
  std::vector<std::string> numbers_;
  std::vector<std::string> texts_;
};

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_KEY_TEMPLATE_H_
