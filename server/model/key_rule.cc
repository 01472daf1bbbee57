#include "server/model/key_rule.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/model/key_rule_json.h"

namespace warmstart {
namespace {

// The option that stands for a rule; "" where there is none.
struct ShortForm {
  std::string operator()(const RenameRule& rule) const {
    return Pair("--rename ", rule.from, rule.to);
  }
  std::string operator()(const RegexRule& rule) const {
    return Pair("--rename-regex ", rule.pattern, rule.replacement);
  }
  std::string operator()(const StripPrefixRule& rule) const {
    return absl::StrCat("--strip-prefix ", rule.prefix);
  }
  std::string operator()(const AddPrefixRule& rule) const {
    return absl::StrCat("--add-prefix ", rule.prefix);
  }
  std::string operator()(const TemplateRule& rule) const {
    return rule.ranges.empty() ? Pair("--template ", rule.to, rule.from) : "";
  }
  std::string operator()(const ConvertRule&) const { return ""; }

 private:
  // The first "=" ends the left side.
  static std::string Pair(absl::string_view option, absl::string_view left,
                          absl::string_view right) {
    return absl::StrContains(left, '=')
               ? ""
               : absl::StrCat(option, left, "=", right);
  }
};

}  // namespace

std::string KeyRuleToString(const KeyRule& rule) {
  if (rule.keys.empty() && !rule.source.has_value() && rule.priority == 0) {
    std::string text = std::visit(ShortForm{}, rule.kind);
    if (!text.empty()) return text;
  }
  // A quote can only be within a string, where this stands for it.
  return absl::StrCat(
      "--rule '", absl::StrReplaceAll(KeyRuleToJson(rule), {{"'", "\\u0027"}}),
      "'");
}

}  // namespace warmstart
