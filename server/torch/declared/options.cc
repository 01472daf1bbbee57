#include "server/torch/declared/options.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "server/base/status_macros.h"

namespace warmstart::backend::declared {
namespace {

constexpr int64_t kLeastInteger = -kMostSize;
constexpr std::array kFloatTypes = {DType::kFloat16, DType::kBFloat16,
                                    DType::kFloat32, DType::kFloat64};

bool IsNone(const OptionValue& value) {
  return std::holds_alternative<std::monostate>(value.value);
}

std::string ToText(const OptionValue& value) {
  struct Visitor {
    std::string operator()(std::monostate) const { return "None"; }
    std::string operator()(bool flag) const { return flag ? "True" : "False"; }
    std::string operator()(double number) const { return absl::StrCat(number); }
    std::string operator()(const std::string& text) const {
      return absl::StrCat("'", text, "'");
    }
    std::string operator()(const OptionValue::Tuple& tuple) const {
      return absl::StrCat("a list of ", tuple.size());
    }
  };
  return std::visit(Visitor{}, value.value);
}

}  // namespace

const OptionValue* Options::Find(absl::string_view name) {
  known_.emplace_back(name);
  const auto found = module_.options.find(std::string(name));
  return found == module_.options.end() ? nullptr : &found->second;
}

const OptionValue* Options::FindOrNone(absl::string_view name) {
  const OptionValue* const value = Find(name);
  return value == nullptr || IsNone(*value) ? nullptr : value;
}

const OptionValue* Options::FindRequired(absl::string_view name) {
  const OptionValue* const value = Find(name);
  if (value == nullptr) {
    Refuse(name, absl::StrCat("is missing; ", type(), " needs it"));
  }
  return value;
}

void Options::Refuse(absl::string_view name, absl::string_view problem) {
  if (!status_.ok()) return;
  status_ = absl::InvalidArgumentError(
      absl::StrCat(place_, ".options.", name, ": ", problem));
}

void Options::Require(bool ok, absl::string_view name,
                      absl::string_view problem) {
  if (!ok) Refuse(name, problem);
}

int64_t Options::ToInteger(absl::string_view name, const OptionValue& value,
                           int64_t least, int64_t most) {
  const auto* number = std::get_if<double>(&value.value);
  if (number == nullptr || std::trunc(*number) != *number) {
    Refuse(name, absl::StrCat("must be a whole number, is ", ToText(value)));
  } else if (*number < static_cast<double>(least)) {
    Refuse(name, absl::StrCat("must be at least ", least, ", is ", *number));
  } else if (*number > static_cast<double>(most)) {
    Refuse(name, absl::StrCat("must be at most ", most, ", is ", *number));
  } else {
    return static_cast<int64_t>(*number);
  }
  return std::max<int64_t>(least, 1);
}

double Options::ToNumber(absl::string_view name, const OptionValue& value) {
  const auto* number = std::get_if<double>(&value.value);
  if (number != nullptr && std::isfinite(*number)) return *number;
  Refuse(name, absl::StrCat("must be a number, is ", ToText(value)));
  return 1;
}

bool Options::ToFlag(absl::string_view name, const OptionValue& value) {
  const auto* flag = std::get_if<bool>(&value.value);
  if (flag != nullptr) return *flag;
  Refuse(name, absl::StrCat("must be a flag, is ", ToText(value)));
  return false;
}

bool Options::HasRank(absl::string_view name, const OptionValue::Tuple& tuple,
                      size_t rank) {
  if (tuple.size() == rank) return true;
  Refuse(name, absl::StrCat("must be a number or a list of ", rank,
                            ", is a list of ", tuple.size()));
  return false;
}

Sizes Options::ToTuple(absl::string_view name, const OptionValue& value,
                       size_t rank, int64_t least) {
  const auto* tuple = std::get_if<OptionValue::Tuple>(&value.value);
  if (tuple == nullptr) {
    return Sizes(rank, ToInteger(name, value, least, kMostSize));
  }
  if (!HasRank(name, *tuple, rank))
    return Sizes(rank, std::max<int64_t>(1, least));
  Sizes sizes;
  for (const OptionValue& element : *tuple) {
    sizes.push_back(ToInteger(name, element, least, kMostSize));
  }
  return sizes;
}

int64_t Options::Size(absl::string_view name, int64_t most) {
  const OptionValue* const value = FindRequired(name);
  return value == nullptr ? 1 : ToInteger(name, *value, 1, most);
}

int64_t Options::SizeOr(absl::string_view name, int64_t fallback,
                        int64_t most) {
  const OptionValue* const value = Find(name);
  return value == nullptr ? fallback : ToInteger(name, *value, 1, most);
}

std::optional<int64_t> Options::OptionalSize(absl::string_view name) {
  const OptionValue* const value = FindOrNone(name);
  if (value == nullptr) return std::nullopt;
  return ToInteger(name, *value, 1, kMostSize);
}

Sizes Options::Tuple(absl::string_view name, size_t rank, int64_t least) {
  const OptionValue* const value = FindRequired(name);
  return value == nullptr ? Sizes(rank, std::max<int64_t>(1, least))
                          : ToTuple(name, *value, rank, least);
}

Sizes Options::TupleOr(absl::string_view name, size_t rank, int64_t least,
                       int64_t fallback) {
  const OptionValue* const value = Find(name);
  return value == nullptr ? Sizes(rank, fallback)
                          : ToTuple(name, *value, rank, least);
}

std::optional<Sizes> Options::OptionalTuple(absl::string_view name, size_t rank,
                                            int64_t least) {
  const OptionValue* const value = FindOrNone(name);
  if (value == nullptr) return std::nullopt;
  return ToTuple(name, *value, rank, least);
}

std::vector<std::optional<int64_t>> Options::TupleWithNones(
    absl::string_view name, size_t rank) {
  std::vector<std::optional<int64_t>> sizes(rank);
  const OptionValue* const value = FindRequired(name);
  if (value == nullptr || IsNone(*value)) return sizes;
  const auto* tuple = std::get_if<OptionValue::Tuple>(&value->value);
  if (tuple != nullptr && !HasRank(name, *tuple, rank)) return sizes;
  for (size_t i = 0; i < rank; ++i) {
    const OptionValue& element = tuple == nullptr ? *value : (*tuple)[i];
    if (!IsNone(element)) sizes[i] = ToInteger(name, element, 1, kMostSize);
  }
  return sizes;
}

Sizes Options::List(absl::string_view name, int64_t least) {
  const OptionValue* const value = FindRequired(name);
  if (value == nullptr) return {1};
  const auto* tuple = std::get_if<OptionValue::Tuple>(&value->value);
  const size_t rank = tuple == nullptr ? 1 : tuple->size();
  Require(rank > 0, name, "must not be empty");
  return ToTuple(name, *value, rank, least);
}

std::optional<std::vector<double>> Options::OptionalNumbers(
    absl::string_view name) {
  const OptionValue* const value = FindOrNone(name);
  if (value == nullptr) return std::nullopt;
  const auto* tuple = std::get_if<OptionValue::Tuple>(&value->value);
  if (tuple == nullptr) return std::vector<double>{ToNumber(name, *value)};
  std::vector<double> numbers;
  for (const OptionValue& element : *tuple) {
    numbers.push_back(ToNumber(name, element));
  }
  return numbers;
}

int64_t Options::Integer(absl::string_view name) {
  const OptionValue* const value = FindRequired(name);
  return value == nullptr ? 0
                          : ToInteger(name, *value, kLeastInteger, kMostSize);
}

int64_t Options::IntegerOr(absl::string_view name, int64_t fallback) {
  const OptionValue* const value = Find(name);
  return value == nullptr ? fallback
                          : ToInteger(name, *value, kLeastInteger, kMostSize);
}

std::optional<int64_t> Options::OptionalInteger(absl::string_view name) {
  const OptionValue* const value = FindOrNone(name);
  if (value == nullptr) return std::nullopt;
  return ToInteger(name, *value, kLeastInteger, kMostSize);
}

double Options::Number(absl::string_view name) {
  const OptionValue* const value = FindRequired(name);
  return value == nullptr ? 1 : ToNumber(name, *value);
}

double Options::NumberOr(absl::string_view name, double fallback) {
  const OptionValue* const value = Find(name);
  return value == nullptr ? fallback : ToNumber(name, *value);
}

std::optional<double> Options::OptionalNumber(absl::string_view name) {
  const OptionValue* const value = FindOrNone(name);
  if (value == nullptr) return std::nullopt;
  return ToNumber(name, *value);
}

bool Options::FlagOr(absl::string_view name, bool fallback) {
  const OptionValue* const value = Find(name);
  return value == nullptr ? fallback : ToFlag(name, *value);
}

std::optional<bool> Options::OptionalFlag(absl::string_view name) {
  const OptionValue* const value = FindOrNone(name);
  if (value == nullptr) return std::nullopt;
  return ToFlag(name, *value);
}

std::string Options::ChoiceOr(absl::string_view name,
                              absl::string_view fallback,
                              absl::Span<const absl::string_view> choices) {
  const OptionValue* const value = Find(name);
  if (value == nullptr) return std::string(fallback);
  const auto* text = std::get_if<std::string>(&value->value);
  if (text != nullptr &&
      std::find(choices.begin(), choices.end(), *text) != choices.end()) {
    return *text;
  }
  Refuse(name, absl::StrCat("must be one of '", absl::StrJoin(choices, "', '"),
                            "', is ", ToText(*value)));
  return std::string(fallback);
}

DType Options::FloatType() {
  const OptionValue* const value = FindOrNone("dtype");
  if (value == nullptr) return DType::kFloat32;
  if (const auto* text = std::get_if<std::string>(&value->value)) {
    for (const DType dtype : kFloatTypes) {
      if (DTypeName(dtype) == absl::StripPrefix(*text, "torch.")) return dtype;
    }
  }
  Refuse("dtype", absl::StrCat("must be one of 'float16', 'bfloat16', "
                               "'float32', 'float64', is ",
                               ToText(*value)));
  return DType::kFloat32;
}

void Options::Probability(absl::string_view name, double fallback) {
  const double p = NumberOr(name, fallback);
  Require(p >= 0 && p <= 1, name, absl::StrCat("must be in [0, 1], is ", p));
}

bool Options::IsText(absl::string_view name) const {
  const auto found = module_.options.find(std::string(name));
  return found != module_.options.end() &&
         std::holds_alternative<std::string>(found->second.value);
}

absl::Status Options::Done() {
  RETURN_IF_ERROR(status_);
  for (const auto& [name, value] : module_.options) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    if (name == "device") {
      Refuse(name, "is chosen when the model is loaded, not declared");
    } else if (known_.empty()) {
      Refuse(name, absl::StrCat(type(), " takes no options"));
    } else {
      Refuse(name, absl::StrCat("is no option of ", type(), "; they are ",
                                absl::StrJoin(known_, ", ")));
    }
  }
  return status_;
}

}  // namespace warmstart::backend::declared
