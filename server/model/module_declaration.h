// ModuleDeclaration: a module in torch.nn's terms, as data. What the types and
// options mean is known to server/torch alone.

#ifndef WARMSTART_SERVER_MODEL_MODULE_DECLARATION_H_
#define WARMSTART_SERVER_MODEL_MODULE_DECLARATION_H_

#include <map>
#include <string>
#include <variant>
#include <vector>

namespace warmstart {

// The value of a constructor's argument: None, a flag, a number, a text, or a
// tuple. Numbers are doubles, as in JSON: whole ones up to 2^53 are exact.
struct OptionValue {
  using Tuple = std::vector<OptionValue>;
  std::variant<std::monostate, bool, double, std::string, Tuple> value;

  friend bool operator==(const OptionValue&, const OptionValue&) = default;
};

struct ModuleDeclaration {
  std::string type;  // the class's name in torch.nn: "Conv2d"
  std::map<std::string, OptionValue> options;
  std::vector<ModuleDeclaration> children;  // of a Sequential
  // In the module that holds it; "" is its index there.
  std::string name;

  friend bool operator==(const ModuleDeclaration&,
                         const ModuleDeclaration&) = default;
};

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_MODULE_DECLARATION_H_
