#include "client/cli/module_text.h"

#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/text.h"

namespace warmstart::client {
namespace {

// As Python writes it.
std::string ValueText(const google::protobuf::Value& value) {
  using google::protobuf::Value;
  switch (value.kind_case()) {
    case Value::kBoolValue:
      return value.bool_value() ? "True" : "False";
    case Value::kNumberValue:
      return absl::StrCat(value.number_value());
    case Value::kStringValue:
      return absl::StrCat("'", value.string_value(), "'");
    case Value::kListValue: {
      std::vector<std::string> elements;
      for (const Value& element : value.list_value().values()) {
        elements.push_back(ValueText(element));
      }
      return absl::StrCat("[", absl::StrJoin(elements, ", "), "]");
    }
    default:
      return "None";
  }
}

std::string ConstructorText(const v1::ModuleDeclaration& module) {
  if (module.options().fields().empty()) return module.type();
  // A protobuf map has no order.
  const std::map<std::string, google::protobuf::Value> options(
      module.options().fields().begin(), module.options().fields().end());
  return absl::StrCat(module.type(), "(",
                      absl::StrJoin(options, ", ",
                                    [](std::string* out, const auto& option) {
                                      absl::StrAppend(out, option.first, "=",
                                                      ValueText(option.second));
                                    }),
                      ")");
}

std::string NameOf(const v1::ModuleDeclaration& module, int index) {
  return module.name().empty() ? absl::StrCat(index) : module.name();
}

void AddChildren(const v1::ModuleDeclaration& module, size_t indent,
                 std::string& tree) {
  size_t width = 0;
  for (int i = 0; i < module.children_size(); ++i) {
    width =
        std::max(width, DisplayWidth(Printable(NameOf(module.children(i), i))));
  }
  for (int i = 0; i < module.children_size(); ++i) {
    const v1::ModuleDeclaration& child = module.children(i);
    const std::string name = Printable(NameOf(child, i));
    absl::StrAppend(&tree, std::string(indent, ' '), name,
                    std::string(width - DisplayWidth(name) + 2, ' '),
                    Printable(ConstructorText(child)), "\n");
    AddChildren(child, indent + 2, tree);
  }
}

}  // namespace

std::string ModuleTree(const v1::ModuleDeclaration& module) {
  std::string tree = absl::StrCat(Printable(ConstructorText(module)), "\n");
  AddChildren(module, 2, tree);
  return tree;
}

}  // namespace warmstart::client
