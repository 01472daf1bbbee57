#include "server/model/integer_expression.h"

#include <algorithm>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace warmstart {
namespace {

// Parentheses and signs within each other: each is a call of the parser.
constexpr int kMaxDepth = 32;

absl::Status TooLarge() {
  return absl::InvalidArgumentError("a number is beyond 64 bits");
}

// `a` operation `b`, with / and % rounded as Python's.
absl::StatusOr<int64_t> Compute(char operation, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  switch (operation) {
    case '+':
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case '-':
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case '*':
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    default: {
      if (b == 0) return absl::InvalidArgumentError("it divides by 0");
      if (b == -1) {  // the one division that can overflow
        if (operation == '%') return 0;
        overflow = __builtin_sub_overflow(int64_t{0}, a, &result);
        break;
      }
      int64_t quotient = a / b;
      int64_t remainder = a % b;
      if (remainder != 0 && (remainder < 0) != (b < 0)) {
        --quotient;
        remainder += b;
      }
      result = operation == '/' ? quotient : remainder;
    }
  }
  if (overflow) return TooLarge();
  return result;
}

}  // namespace

// Recursive descent. Besides the steps, it works out which parts are constants
// or lines.
class IntegerExpression::Parser {
 public:
  explicit Parser(absl::string_view text) : rest_(text) {}

  absl::StatusOr<IntegerExpression> Parse() {
    ASSIGN_OR_RETURN(const Form form, ParseSum(0));
    SkipSpace();
    if (!rest_.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("nothing is expected at '", rest_, "'"));
    }
    if (form.known && form.coefficient != 0) {
      parsed_.line_ = Line{parsed_.variables_[form.variable], form.coefficient,
                           form.constant};
    }
    return std::move(parsed_);
  }

 private:
  // coefficient * variable + constant; a constant where the coefficient is 0.
  struct Form {
    bool known = false;
    int64_t variable = 0;
    int64_t coefficient = 0;
    int64_t constant = 0;

    bool IsConstant() const { return known && coefficient == 0; }
  };

  absl::StatusOr<Form> ParseSum(int depth) {
    ASSIGN_OR_RETURN(Form left, ParseProduct(depth));
    while (const char operation = TakeOneOf("+-")) {
      ASSIGN_OR_RETURN(const Form right, ParseProduct(depth));
      ASSIGN_OR_RETURN(left, Combine(operation, left, right));
    }
    return left;
  }

  absl::StatusOr<Form> ParseProduct(int depth) {
    ASSIGN_OR_RETURN(Form left, ParseFactor(depth));
    while (const char operation = TakeOneOf("*/%")) {
      ASSIGN_OR_RETURN(const Form right, ParseFactor(depth));
      ASSIGN_OR_RETURN(left, Combine(operation, left, right));
    }
    return left;
  }

  absl::StatusOr<Form> ParseFactor(int depth) {
    if (depth > kMaxDepth) {
      return absl::InvalidArgumentError("it is nested too deeply");
    }
    if (TakeOneOf("-") != 0) {
      ASSIGN_OR_RETURN(const Form form, ParseFactor(depth + 1));
      parsed_.steps_.push_back({'~'});
      return Merged('-', Form{true}, form);
    }
    if (TakeOneOf("(") != 0) {
      ASSIGN_OR_RETURN(const Form form, ParseSum(depth + 1));
      if (TakeOneOf(")") == 0) {
        return absl::InvalidArgumentError("a ')' is missing");
      }
      return form;
    }
    if (!rest_.empty() && absl::ascii_isdigit(rest_[0])) return ParseNumber();
    return ParseVariable();
  }

  absl::StatusOr<Form> ParseNumber() {
    const absl::string_view digits =
        Take([](char c) { return absl::ascii_isdigit(c); });
    Form form{true};
    if (!absl::SimpleAtoi(digits, &form.constant)) return TooLarge();
    parsed_.steps_.push_back({'#', form.constant});
    return form;
  }

  absl::StatusOr<Form> ParseVariable() {
    const absl::string_view name =
        Take([](char c) { return absl::ascii_isalnum(c) || c == '_'; });
    if (name.empty()) {
      return absl::InvalidArgumentError(
          rest_.empty() ? "a number or a name is missing at its end"
                        : absl::StrCat("a number or a name is expected at '",
                                       rest_, "'"));
    }
    std::vector<std::string>& names = parsed_.variables_;
    const auto found = std::find(names.begin(), names.end(), name);
    const int64_t variable = found - names.begin();
    if (found == names.end()) names.emplace_back(name);
    parsed_.steps_.push_back({'$', variable});
    return Form{true, variable, 1, 0};
  }

  absl::StatusOr<Form> Combine(char operation, const Form& a, const Form& b) {
    parsed_.steps_.push_back({operation});
    if (b.IsConstant() && b.constant == 0 &&
        (operation == '/' || operation == '%')) {
      return absl::InvalidArgumentError("it divides by 0");
    }
    return Merged(operation, a, b);
  }

  // What is no line, or overflows as one, is unknown: only its value counts.
  static Form Merged(char operation, const Form& a, const Form& b) {
    if (!a.known || !b.known) return {};
    if (a.IsConstant() && b.IsConstant()) {
      const absl::StatusOr<int64_t> value =
          Compute(operation, a.constant, b.constant);
      return value.ok() ? Form{true, 0, 0, *value} : Form{};
    }
    if (operation == '*' && a.IsConstant()) return Scaled(b, a.constant);
    if (operation == '*' && b.IsConstant()) return Scaled(a, b.constant);
    if (operation != '+' && operation != '-') return {};
    if (!a.IsConstant() && !b.IsConstant() && a.variable != b.variable) {
      return {};
    }
    const absl::StatusOr<int64_t> coefficient =
        Compute(operation, a.coefficient, b.coefficient);
    const absl::StatusOr<int64_t> constant =
        Compute(operation, a.constant, b.constant);
    if (!coefficient.ok() || !constant.ok()) return {};
    return {true, a.IsConstant() ? b.variable : a.variable, *coefficient,
            *constant};
  }

  static Form Scaled(const Form& form, int64_t factor) {
    const absl::StatusOr<int64_t> coefficient =
        Compute('*', form.coefficient, factor);
    const absl::StatusOr<int64_t> constant =
        Compute('*', form.constant, factor);
    if (!coefficient.ok() || !constant.ok()) return {};
    return {true, form.variable, *coefficient, *constant};
  }

  void SkipSpace() { rest_ = absl::StripLeadingAsciiWhitespace(rest_); }

  // The next character, if it is one of `characters`; else 0.
  char TakeOneOf(absl::string_view characters) {
    SkipSpace();
    if (rest_.empty() || !absl::StrContains(characters, rest_[0])) return 0;
    const char taken = rest_[0];
    rest_.remove_prefix(1);
    return taken;
  }

  template <typename Predicate>
  absl::string_view Take(Predicate is_part) {
    size_t size = 0;
    while (size < rest_.size() && is_part(rest_[size])) ++size;
    const absl::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  absl::string_view rest_;
  IntegerExpression parsed_;
};

absl::StatusOr<IntegerExpression> IntegerExpression::Parse(
    absl::string_view text) {
  return Parser(text).Parse();
}

absl::StatusOr<int64_t> IntegerExpression::Evaluate(
    absl::FunctionRef<int64_t(const std::string&)> value_of) const {
  std::vector<int64_t> stack;
  for (const Step& step : steps_) {
    if (step.operation == '#') {
      stack.push_back(step.number);
    } else if (step.operation == '$') {
      stack.push_back(value_of(variables_[step.number]));
    } else if (step.operation == '~') {
      ASSIGN_OR_RETURN(stack.back(), Compute('-', 0, stack.back()));
    } else {
      const int64_t right = stack.back();
      stack.pop_back();
      ASSIGN_OR_RETURN(stack.back(),
                       Compute(step.operation, stack.back(), right));
    }
  }
  return stack.back();
}

}  // namespace warmstart
