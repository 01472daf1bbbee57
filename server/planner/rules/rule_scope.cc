#include "server/planner/rules/rule_scope.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/model/utf8.h"

namespace warmstart::planner {
namespace {

// With keys of at most kMaxKeyBytes, what one replacement can make is bounded.
constexpr size_t kMaxTextBytes = 1024;

std::string Field(int index, absl::string_view part) {
  return absl::StrCat("key_rules[", index, "].", part);
}

}  // namespace

absl::StatusOr<RuleScope> RuleScope::Create(int index, const KeyRule& rule) {
  for (size_t i = 0; i < rule.keys.size(); ++i) {
    RETURN_IF_ERROR(
        CheckRuleText(index, absl::StrCat("keys[", i, "]"), rule.keys[i]));
  }
  ASSIGN_OR_RETURN(GlobSet keys,
                   GlobSet::Create(Field(index, "keys"), rule.keys));
  return RuleScope(index, rule, std::move(keys));
}

void RuleScope::Credit(NamedTensor* tensor) const {
  tensor->priority =
      tensor->rules.empty() ? priority_ : std::max(tensor->priority, priority_);
  tensor->rules.push_back(index_);
}

absl::Status InvalidRule(int index, absl::string_view part,
                         absl::string_view problem) {
  const std::string field = Field(index, part);
  return WithErrorInfo(
      absl::InvalidArgumentError(absl::StrCat(field, ": ", problem)),
      reason::kInvalidRule, {{"field", field}});
}

absl::Status CheckRuleText(int index, absl::string_view part,
                           absl::string_view text, bool may_be_empty) {
  if (text.empty() && !may_be_empty) {
    return InvalidRule(index, part, "must not be empty");
  }
  if (text.size() > kMaxTextBytes) {
    return InvalidRule(
        index, part, absl::StrCat("is longer than ", kMaxTextBytes, " bytes"));
  }
  if (!IsUtf8(text)) return InvalidRule(index, part, "is not UTF-8");
  return absl::OkStatus();
}

absl::StatusOr<KeyTemplate> ParseRuleTemplate(int index, absl::string_view part,
                                              absl::string_view text) {
  RETURN_IF_ERROR(CheckRuleText(index, part, text));
  absl::StatusOr<KeyTemplate> parsed = KeyTemplate::Parse(text);
  if (parsed.ok()) return parsed;
  return InvalidRule(index, part,
                     absl::StrCat("'", text, "' is not a template: ",
                                  parsed.status().message()));
}

absl::Status CheckMadeKey(const KeyRule& rule, absl::string_view original,
                          absl::string_view key) {
  absl::string_view problem;
  if (key.empty()) {
    problem = "leaves nothing of";
  } else if (key.size() > kMaxKeyBytes) {
    problem = "makes too long a key of";
  } else if (!IsUtf8(key)) {
    problem = "makes text that is not UTF-8 of";
  } else {
    return absl::OkStatus();
  }
  return WithErrorInfo(absl::InvalidArgumentError(
                           absl::StrCat("the rule ", KeyRuleToString(rule), " ",
                                        problem, " '", original, "'")),
                       reason::kInvalidRule, {{"key", std::string(original)}});
}

absl::Status RuleFailed(const KeyRule& rule, absl::string_view key,
                        absl::string_view problem) {
  return WithErrorInfo(absl::InvalidArgumentError(absl::StrCat(
                           "the rule ", KeyRuleToString(rule), " fails ",
                           "on '", key, "': ", problem)),
                       reason::kInvalidRule, {{"key", std::string(key)}});
}

}  // namespace warmstart::planner
