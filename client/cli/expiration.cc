#include "client/cli/expiration.h"

#include <google/protobuf/util/time_util.h>

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/cli/text.h"
#include "client/cli/usage_error.h"

namespace warmstart::client {
namespace {

using google::protobuf::util::TimeUtil;

// What absl::ParseTime takes; what has no zone is in the local one.
constexpr const char* kTimeFormats[] = {absl::RFC3339_full, "%Y-%m-%d",
                                        "%Y-%m-%dT%H:%M:%S",
                                        "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"};

std::optional<absl::Duration> UnitOf(char letter) {
  switch (letter) {
    case 's':
      return absl::Seconds(1);
    case 'm':
      return absl::Minutes(1);
    case 'h':
      return absl::Hours(1);
    case 'd':
      return absl::Hours(24);
    case 'w':
      return absl::Hours(7 * 24);
    default:
      return std::nullopt;
  }
}

// "1d12h": numbers, each with its unit.
std::optional<absl::Duration> ParseTtl(absl::string_view text) {
  absl::Duration sum;
  do {
    size_t digits = 0;
    while (digits < text.size() && absl::ascii_isdigit(text[digits])) ++digits;
    uint64_t number = 0;
    if (digits == text.size() ||
        !absl::SimpleAtoi(text.substr(0, digits), &number)) {
      return std::nullopt;
    }
    const std::optional<absl::Duration> unit = UnitOf(text[digits]);
    if (!unit.has_value()) return std::nullopt;
    sum += number * *unit;
    text.remove_prefix(digits + 1);
  } while (!text.empty());
  return sum;
}

absl::StatusOr<Expiration> TtlOf(const std::string& text) {
  const std::optional<absl::Duration> ttl = ParseTtl(text);
  // As google.protobuf.Duration has it.
  constexpr absl::Duration kMost = absl::Seconds(TimeUtil::kDurationMaxSeconds);
  if (!ttl.has_value() || *ttl <= absl::ZeroDuration() || *ttl > kMost) {
    return UsageError(absl::StrCat(
        "--ttl takes a time such as 90m, 36h, 7d or 2w; not \"", text, "\""));
  }
  return TimeUtil::SecondsToDuration(absl::ToInt64Seconds(*ttl));
}

absl::StatusOr<Expiration> TimeOf(const std::string& text) {
  for (const char* const format : kTimeFormats) {
    absl::Time time;
    if (absl::ParseTime(format, text, absl::LocalTimeZone(), &time, nullptr) &&
        time < absl::InfiniteFuture()) {
      return TimeUtil::SecondsToTimestamp(absl::ToUnixSeconds(time));
    }
  }
  return UsageError(
      absl::StrCat("--expire-time takes a date, or a date and a time, such as "
                   "2026-12-31T18:00:00; not \"",
                   text, "\""));
}

}  // namespace

absl::StatusOr<Expiration> ExpirationValue(const Arguments& arguments) {
  const std::optional<std::string> ttl = arguments.Get(kTtlFlag.name);
  const std::optional<std::string> time = arguments.Get(kExpireTimeFlag.name);
  if (ttl.has_value() && time.has_value()) {
    return UsageError("--ttl and --expire-time exclude each other");
  }
  if (ttl.has_value()) return TtlOf(*ttl);
  if (time.has_value()) return TimeOf(*time);
  return Expiration();
}

std::string ExpirationText(const v1::Checkpoint& checkpoint) {
  return checkpoint.has_expire_time() ? FormatTime(checkpoint.expire_time())
                                      : "";
}

}  // namespace warmstart::client
