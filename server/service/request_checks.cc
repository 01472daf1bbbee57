#include "server/service/request_checks.h"

#include <cstdint>
#include <limits>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/model/utf8.h"

namespace warmstart::service {
namespace {

constexpr size_t kMaxLabels = 64;
constexpr size_t kMaxLabelKey = 63;
constexpr size_t kMaxLabelValue = 256;
constexpr size_t kMaxRequestId = 128;
// Each is an open file until the save ends, and the largest published sets have
// a few hundred.
constexpr size_t kMaxFiles = 4096;
constexpr size_t kMaxFileName = 1024;

bool IsLabelKey(absl::string_view key) {
  if (key.empty() || key.size() > kMaxLabelKey) return false;
  for (char c : key) {
    if (!absl::ascii_isalnum(c) && c != '.' && c != '_' && c != '-' &&
        c != '/') {
      return false;
    }
  }
  return true;
}

}  // namespace

absl::Status CheckLabels(const store::Labels& labels) {
  if (labels.size() > kMaxLabels) {
    return InvalidField("labels",
                        absl::StrCat("there are ", labels.size(), ", at most ",
                                     kMaxLabels, " are allowed"));
  }
  for (const auto& [key, value] : labels) {
    if (!IsLabelKey(key)) {
      return InvalidField("labels",
                          absl::StrCat("the key '", key, "' is not 1 to ",
                                       kMaxLabelKey, " of [A-Za-z0-9._/-]"));
    }
    if (value.size() > kMaxLabelValue || !IsUtf8(value)) {
      return InvalidField(absl::StrCat("labels['", key, "']"),
                          absl::StrCat("the value is not UTF-8 of at most ",
                                       kMaxLabelValue, " bytes"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRequestId(absl::string_view request_id) {
  bool printable = true;
  for (char c : request_id) printable = printable && absl::ascii_isgraph(c);
  if (!printable || request_id.size() > kMaxRequestId) {
    return InvalidField(
        "request_id",
        absl::StrCat("is not up to ", kMaxRequestId,
                     " printable ASCII characters without spaces"));
  }
  return absl::OkStatus();
}

absl::Status CheckExpiration(const store::Expiration& expiration,
                             absl::Time now) {
  const bool is_ttl = std::holds_alternative<absl::Duration>(expiration);
  const char* const field = is_ttl ? "ttl" : "expire_time";
  const std::optional<absl::Time> time = store::ExpireTime(expiration, now);
  if (!time.has_value()) return absl::OkStatus();
  if (*time <= now) {
    return InvalidField(
        field, is_ttl ? "is not more than no time at all"
                      : absl::StrCat("is not in the future: it is ",
                                     absl::FormatTime(now, absl::UTCTimeZone()),
                                     " at the server"));
  }
  // The catalog counts nanoseconds.
  if (*time > absl::FromUnixNanos(std::numeric_limits<int64_t>::max())) {
    return InvalidField(field,
                        "is beyond the year 2262; leave it out for "
                        "what is never to expire");
  }
  return absl::OkStatus();
}

absl::Status CheckFile(absl::string_view field, size_t files_before,
                       absl::string_view name, std::optional<int64_t> size) {
  if (files_before >= kMaxFiles) {
    return InvalidField(
        field, absl::StrCat("at most ", kMaxFiles, " files are allowed"));
  }
  if (name.size() > kMaxFileName) {
    return InvalidField(
        absl::StrCat(field, ".name"),
        absl::StrCat("is longer than ", kMaxFileName, " bytes"));
  }
  if (size.has_value() && *size < 0) {
    return InvalidField(absl::StrCat(field, ".size"),
                        absl::StrCat(*size, " is negative"));
  }
  return absl::OkStatus();
}

absl::StatusOr<store::UploadName> ParseUploadName(absl::string_view field,
                                                  absl::string_view name) {
  if (name.empty()) return InvalidField(field, "is required");
  absl::StatusOr<store::UploadName> parsed = store::UploadName::Parse(name);
  if (!parsed.ok()) return InvalidField(field, parsed.status().message());
  return parsed;
}

absl::StatusOr<std::optional<AliasName>> CheckOptions(
    const CheckpointOptions& options) {
  RETURN_IF_ERROR(CheckLabels(options.labels));
  RETURN_IF_ERROR(CheckRequestId(options.request_id));
  if (options.alias.empty()) return std::nullopt;
  absl::StatusOr<AliasName> alias = AliasName::Parse(options.alias);
  if (!alias.ok()) return InvalidField("alias", alias.status().message());
  return *std::move(alias);
}

Fingerprint& Fingerprint::Add(absl::string_view field) {
  hasher_.Update(absl::StrCat(field.size(), ":"));
  hasher_.Update(field);
  return *this;
}

Fingerprint& Fingerprint::Add(const store::Labels& labels) {
  Add(absl::StrCat(labels.size()));
  for (const auto& [key, value] : labels) Add(key).Add(value);
  return *this;
}

Fingerprint& Fingerprint::Add(const store::Expiration& expiration) {
  if (const auto* time = std::get_if<absl::Time>(&expiration)) {
    return Add("expire_time").Add(absl::StrCat(absl::ToUnixNanos(*time)));
  }
  if (const auto* ttl = std::get_if<absl::Duration>(&expiration)) {
    return Add("ttl").Add(absl::FormatDuration(*ttl));
  }
  return *this;
}

}  // namespace warmstart::service
