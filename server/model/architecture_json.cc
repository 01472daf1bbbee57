#include "server/model/architecture_json.h"

#include <string>

#include "server/model/initializer_json.h"
#include "server/model/json_codec.h"
#include "server/model/module_declaration_json.h"

namespace warmstart {
namespace {

using json_codec::Json;

Json EntryToJson(const ArchitectureEntry& entry) {
  Json json = json_codec::SpecToJson(entry.spec);
  json["key"] = entry.key;
  json["buffer"] = entry.kind == EntryKind::kBuffer;
  json["initializer"] = json_codec::InitializerToJson(entry.initializer);
  if (!entry.tied_to.empty()) json["tied_to"] = entry.tied_to;
  return json;
}

ArchitectureEntry EntryFromJson(const Json& json) {
  return ArchitectureEntry{
      json.at("key").get<std::string>(), json_codec::SpecFromJson(json),
      json.at("buffer").get<bool>() ? EntryKind::kBuffer
                                    : EntryKind::kParameter,
      json_codec::InitializerFromJson(json.at("initializer")),
      json.value("tied_to", std::string())};
}

Architecture Decode(const Json& json) {
  Architecture architecture;
  architecture.name = json.at("name").get<std::string>();
  for (const Json& entry : json.at("entries")) {
    architecture.entries.push_back(EntryFromJson(entry));
  }
  for (const Json& module : json.at("modules")) {
    architecture.modules.push_back({module.at("path").get<std::string>(),
                                    module.at("version").get<int64_t>()});
  }
  if (json.contains("module")) {
    architecture.module = json_codec::DeclarationFromJson(json.at("module"));
  }
  if (json.contains("initial_values")) {
    architecture.initial_values = json_codec::OrThrow(
        CheckpointName::Parse(json.at("initial_values").get<std::string>()));
  }
  return architecture;
}

}  // namespace

std::string ArchitectureToJson(const Architecture& architecture) {
  Json entries = Json::array();
  for (const ArchitectureEntry& entry : architecture.entries) {
    entries.push_back(EntryToJson(entry));
  }
  Json modules = Json::array();
  for (const ModuleVersion& module : architecture.modules) {
    modules.push_back({{"path", module.path}, {"version", module.version}});
  }
  Json json = {{"name", architecture.name},
               {"entries", std::move(entries)},
               {"modules", std::move(modules)}};
  if (architecture.module.has_value()) {
    json["module"] = json_codec::DeclarationToJson(*architecture.module);
  }
  if (architecture.initial_values.has_value()) {
    json["initial_values"] = architecture.initial_values->ToString();
  }
  return json_codec::Dump(json);
}

absl::StatusOr<Architecture> ArchitectureFromJson(absl::string_view json) {
  return json_codec::Parse("architecture", json, Decode);
}

}  // namespace warmstart
