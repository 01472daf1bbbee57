// KeyRule: one step of turning a source's key into a target's.

#ifndef WARMSTART_SERVER_MODEL_KEY_RULE_H_
#define WARMSTART_SERVER_MODEL_KEY_RULE_H_

#include <string>
#include <variant>

namespace warmstart {

// The key `from`, and no other, becomes `to`.
struct RenameRule {
  std::string from;
  std::string to;
};
// Every match of `pattern` (RE2 syntax) is replaced by `replacement`, in which
// \1 to \9 stand for the groups: Python's re.sub.
struct RegexRule {
  std::string pattern;
  std::string replacement;
};
// Keys that start with `prefix` lose it; others stay as they are.
struct StripPrefixRule {
  std::string prefix;
};
// All keys get `prefix`.
struct AddPrefixRule {
  std::string prefix;
};

using KeyRule =
    std::variant<RenameRule, RegexRule, StripPrefixRule, AddPrefixRule>;

// As the command line writes it: "--rename a=b", "--strip-prefix module.".
std::string KeyRuleToString(const KeyRule& rule);

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_KEY_RULE_H_
