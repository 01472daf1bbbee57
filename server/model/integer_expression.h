// IntegerExpression: arithmetic over whole numbers, in the holes of templates.

#ifndef WARMSTART_SERVER_MODEL_INTEGER_EXPRESSION_H_
#define WARMSTART_SERVER_MODEL_INTEGER_EXPRESSION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace warmstart {

// Of +, -, *, / and % as Python's // and %, parentheses, numbers and variables:
// "2*i + 1", "(i - 12) / 2". Every operation is checked, since the numbers come
// from clients.
class IntegerExpression {
 public:
  // What such an expression is where it is coefficient * variable + constant,
  // and the coefficient is not 0.
  struct Line {
    std::string variable;
    int64_t coefficient = 1;
    int64_t constant = 0;
  };

  // INVALID_ARGUMENT, with a sentence, for other text, and for a division by a
  // constant 0.
  static absl::StatusOr<IntegerExpression> Parse(absl::string_view text);

  // The value of an expression whose variables `value_of` knows.
  // INVALID_ARGUMENT for a division by 0, and for what no int64 can hold.
  absl::StatusOr<int64_t> Evaluate(
      absl::FunctionRef<int64_t(const std::string&)> value_of) const;

  // Each once, in the order of their first use.
  const std::vector<std::string>& variables() const { return variables_; }
  const std::optional<Line>& line() const { return line_; }

 private:
  class Parser;

  // In reverse Polish notation.
  struct Step {
    char operation;      // '#': a number; '$': a variable; '~': negation
    int64_t number = 0;  // or the variable's position
  };

  std::vector<Step> steps_;
  std::vector<std::string> variables_;
  std::optional<Line> line_;
};

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_INTEGER_EXPRESSION_H_
