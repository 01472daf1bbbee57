#include "tests/torch/declared/declarations.h"

namespace warmstart::backend::testing {
namespace {

OptionValue OptionFromJson(const nlohmann::json& json) {
  if (json.is_null()) return {};
  if (json.is_boolean()) return {json.get<bool>()};
  if (json.is_number()) return {json.get<double>()};
  if (json.is_string()) return {json.get<std::string>()};
  OptionValue::Tuple tuple;
  for (const nlohmann::json& element : json) {
    tuple.push_back(OptionFromJson(element));
  }
  return {tuple};
}

}  // namespace

ModuleDeclaration DeclarationFromJson(const nlohmann::json& json) {
  ModuleDeclaration module;
  module.type = json["type"].get<std::string>();
  module.name = json.value("name", "");
  if (json.contains("options")) {
    for (const auto& [name, value] : json["options"].items()) {
      module.options[name] = OptionFromJson(value);
    }
  }
  if (json.contains("children")) {
    for (const nlohmann::json& child : json["children"]) {
      module.children.push_back(DeclarationFromJson(child));
    }
  }
  return module;
}

ModuleDeclaration ParseDeclaration(const std::string& text) {
  return DeclarationFromJson(nlohmann::json::parse(text));
}

}  // namespace warmstart::backend::testing
