#include "server/model/module_declaration_json.h"

#include <string>
#include <utility>

namespace warmstart::json_codec {
namespace {

Json OptionToJson(const OptionValue& option);

struct ToJson {
  Json operator()(std::monostate) const { return nullptr; }
  Json operator()(bool flag) const { return flag; }
  Json operator()(double number) const { return number; }
  Json operator()(const std::string& text) const { return text; }
  Json operator()(const OptionValue::Tuple& tuple) const {
    Json json = Json::array();
    for (const OptionValue& element : tuple) {
      json.push_back(OptionToJson(element));
    }
    return json;
  }
};

Json OptionToJson(const OptionValue& option) {
  return std::visit(ToJson{}, option.value);
}

OptionValue OptionFromJson(const Json& json) {
  if (json.is_null()) return {};
  if (json.is_boolean()) return {json.get<bool>()};
  if (json.is_number()) return {json.get<double>()};
  if (json.is_string()) return {json.get<std::string>()};
  if (!json.is_array()) throw Malformed("an option is an object");
  OptionValue::Tuple tuple;
  for (const Json& element : json) tuple.push_back(OptionFromJson(element));
  return {std::move(tuple)};
}

}  // namespace

Json DeclarationToJson(const ModuleDeclaration& module) {
  Json json = {{"type", module.type}};
  if (!module.name.empty()) json["name"] = module.name;
  if (!module.options.empty()) {
    Json& options = json["options"] = Json::object();
    for (const auto& [name, value] : module.options) {
      options[name] = OptionToJson(value);
    }
  }
  if (!module.children.empty()) {
    Json& children = json["children"] = Json::array();
    for (const ModuleDeclaration& child : module.children) {
      children.push_back(DeclarationToJson(child));
    }
  }
  return json;
}

ModuleDeclaration DeclarationFromJson(const Json& json) {
  ModuleDeclaration module;
  module.type = json.at("type").get<std::string>();
  module.name = json.value("name", std::string());
  if (json.contains("options")) {
    for (const auto& [name, value] : json.at("options").items()) {
      module.options[name] = OptionFromJson(value);
    }
  }
  if (json.contains("children")) {
    for (const Json& child : json.at("children")) {
      module.children.push_back(DeclarationFromJson(child));
    }
  }
  return module;
}

}  // namespace warmstart::json_codec
