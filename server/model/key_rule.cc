#include "server/model/key_rule.h"

#include "absl/strings/str_cat.h"

namespace warmstart {
namespace {

struct ToString {
  std::string operator()(const RenameRule& rule) const {
    return absl::StrCat("--rename ", rule.from, "=", rule.to);
  }
  std::string operator()(const RegexRule& rule) const {
    return absl::StrCat("--rename-regex ", rule.pattern, "=", rule.replacement);
  }
  std::string operator()(const StripPrefixRule& rule) const {
    return absl::StrCat("--strip-prefix ", rule.prefix);
  }
  std::string operator()(const AddPrefixRule& rule) const {
    return absl::StrCat("--add-prefix ", rule.prefix);
  }

  std::string operator()(const TemplateRule& rule) const {
    return absl::StrCat("--template ", rule.to, "=", rule.from);
  }
  std::string operator()(const ConvertRule&) const { return "--rule"; }
};

}  // namespace

std::string KeyRuleToString(const KeyRule& rule) {
  return std::visit(ToString{}, rule.kind);
}

}  // namespace warmstart
