#include "server/store/policy/retention.h"

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/base/status_macros.h"

namespace warmstart::store {
namespace {

// So many rows are passed over to find the first that is not kept.
constexpr int64_t kMaxKeep = 10'000;

absl::Status AddCondition(absl::string_view text, RetentionRule& rule) {
  const size_t equals = text.find('=');
  const std::string key(text.substr(0, equals));
  if (key.empty()) {
    return absl::InvalidArgumentError("a condition has no KEY");
  }
  if (rule.labels.contains(key) || rule.key == key) {
    return absl::InvalidArgumentError(
        absl::StrCat("there are two conditions on '", key, "'"));
  }
  if (equals != absl::string_view::npos) {
    rule.labels[key] = std::string(text.substr(equals + 1));
    return absl::OkStatus();
  }
  if (!rule.key.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", rule.key, "' and '", key,
                     "' both have no value; one KEY alone is allowed"));
  }
  rule.key = key;
  return absl::OkStatus();
}

}  // namespace

std::optional<absl::Time> ExpireTime(const Expiration& expiration,
                                     absl::Time now) {
  if (const auto* time = std::get_if<absl::Time>(&expiration)) return *time;
  if (const auto* ttl = std::get_if<absl::Duration>(&expiration)) {
    return now + *ttl;
  }
  return std::nullopt;
}

absl::StatusOr<RetentionRule> RetentionRule::Parse(absl::string_view text) {
  const size_t colon = text.rfind(':');
  RetentionRule rule;
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(text.substr(colon + 1), &rule.keep) || rule.keep < 1 ||
      rule.keep > kMaxKeep) {
    return absl::InvalidArgumentError(
        absl::StrCat("no SELECTOR:N with an N from 1 to ", kMaxKeep,
                     ", as experiment=ablation:5"));
  }
  for (const absl::string_view condition :
       absl::StrSplit(text.substr(0, colon), ',')) {
    RETURN_IF_ERROR(AddCondition(condition, rule));
  }
  return rule;
}

std::string RetentionRule::ToString() const {
  std::vector<std::string> conditions;
  for (const auto& [key, value] : labels) {
    conditions.push_back(absl::StrCat(key, "=", value));
  }
  if (!key.empty()) conditions.push_back(key);
  return absl::StrCat(absl::StrJoin(conditions, ","), ":", keep);
}

}  // namespace warmstart::store
