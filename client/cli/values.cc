#include "client/cli/values.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/cli/usage_error.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

absl::Status NotA(absl::string_view flag, absl::string_view kind,
                  absl::string_view text) {
  return UsageError(
      absl::StrCat("--", flag, " takes ", kind, "; not \"", text, "\""));
}

struct Unit {
  absl::string_view name;
  double bytes;
};
constexpr Unit kUnits[] = {{"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30},
                           {"TiB", 0x1p40}, {"KB", 1e3},     {"MB", 1e6},
                           {"GB", 1e9},     {"TB", 1e12},    {"B", 1}};

// nullopt where it is no number of bytes.
std::optional<int64_t> ParseBytes(absl::string_view text) {
  // As a double, it would be rounded.
  if (int64_t bytes; absl::SimpleAtoi(text, &bytes)) {
    return bytes >= 0 ? std::optional(bytes) : std::nullopt;
  }
  for (const Unit& unit : kUnits) {
    if (!absl::EndsWithIgnoreCase(text, unit.name)) continue;
    text.remove_suffix(unit.name.size());
    double value;
    // Written so that NaN is refused too.
    if (!absl::SimpleAtod(text, &value) ||
        !(value >= 0 && value * unit.bytes < 0x1p63)) {
      return std::nullopt;
    }
    return static_cast<int64_t>(value * unit.bytes);
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::optional<uint64_t>> Uint64Value(const Arguments& arguments,
                                                    absl::string_view flag) {
  const std::optional<std::string> text = arguments.Get(flag);
  if (!text.has_value()) return std::nullopt;
  uint64_t value;
  if (!absl::SimpleAtoi(*text, &value)) {
    return NotA(flag, "a whole number, 0 or more", *text);
  }
  return value;
}

absl::StatusOr<std::optional<double>> FractionValue(const Arguments& arguments,
                                                    absl::string_view flag) {
  const std::optional<std::string> text = arguments.Get(flag);
  if (!text.has_value()) return std::nullopt;
  double value;
  // Written so that NaN is refused too.
  if (!absl::SimpleAtod(*text, &value) || !(value >= 0 && value <= 1)) {
    return NotA(flag, "a number from 0 to 1", *text);
  }
  return value;
}

absl::StatusOr<std::optional<int64_t>> BytesValue(const Arguments& arguments,
                                                  absl::string_view flag) {
  const std::optional<std::string> text = arguments.Get(flag);
  if (!text.has_value()) return std::nullopt;
  const std::optional<int64_t> bytes = ParseBytes(*text);
  if (!bytes.has_value()) {
    return NotA(flag, "bytes, or a size such as 100MB or 1.5GiB", *text);
  }
  return bytes;
}

absl::StatusOr<absl::Duration> DurationValue(const Arguments& arguments,
                                             absl::string_view flag,
                                             absl::Duration otherwise) {
  const std::optional<std::string> text = arguments.Get(flag);
  if (!text.has_value()) return otherwise;
  absl::Duration value;
  if (double seconds; absl::SimpleAtod(*text, &seconds)) {
    value = absl::Seconds(seconds);
  } else if (!absl::ParseDuration(*text, &value)) {
    return NotA(flag, "seconds or a duration such as 1.5s or 2m", *text);
  }
  if (value <= absl::ZeroDuration()) {
    return NotA(flag, "more than no time at all", *text);
  }
  return value;
}

absl::StatusOr<std::pair<std::string, std::string>> ParsePair(
    absl::string_view what, absl::string_view form, absl::string_view text) {
  const size_t equals = text.find('=');
  if (equals == absl::string_view::npos || equals == 0) {
    return UsageError(
        absl::StrCat(what, " takes ", form, "; not \"", text, "\""));
  }
  return std::pair<std::string, std::string>(text.substr(0, equals),
                                             text.substr(equals + 1));
}

absl::StatusOr<std::map<std::string, std::string>> ParseLabels(
    absl::string_view what, absl::Span<const std::string> texts) {
  std::map<std::string, std::string> labels;
  for (const std::string& text : texts) {
    CLIENT_ASSIGN_OR_RETURN(const auto label,
                            ParsePair(what, "KEY=VALUE", text));
    if (!labels.insert(label).second) {
      return UsageError(
          absl::StrCat(what, " gives \"", label.first, "\" twice"));
    }
  }
  return labels;
}

}  // namespace warmstart::client
