#include "server/base/error_info.h"

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace warmstart {
namespace {

constexpr char kPayload[] = "warmstart/error-info";
// Neither reasons nor metadata hold this byte: keys and names with it are
// refused, and texts are cut at it.
constexpr char kSeparator = '\0';

}  // namespace

absl::Status WithErrorInfo(absl::Status status, absl::string_view reason,
                           std::map<std::string, std::string> metadata) {
  if (status.ok() || status.GetPayload(kPayload).has_value()) return status;
  std::string text(reason);
  for (const auto& [key, value] : metadata) {
    text.push_back(kSeparator);
    text.append(key);
    text.push_back(kSeparator);
    text.append(value.substr(0, value.find(kSeparator)));
  }
  status.SetPayload(kPayload, absl::Cord(text));
  return status;
}

std::optional<ErrorInfo> GetErrorInfo(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayload);
  if (!payload.has_value()) return std::nullopt;
  const std::string text(*payload);
  const std::vector<std::string> parts = absl::StrSplit(text, kSeparator);
  ErrorInfo info;
  info.reason = parts[0];
  for (size_t i = 1; i + 1 < parts.size(); i += 2) {
    info.metadata[parts[i]] = parts[i + 1];
  }
  return info;
}

absl::Status InvalidField(absl::string_view field, absl::string_view problem) {
  return WithErrorInfo(
      absl::InvalidArgumentError(absl::StrCat(field, ": ", problem)),
      reason::kInvalidField, {{"field", std::string(field)}});
}

}  // namespace warmstart
