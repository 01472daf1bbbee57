#include "server/model/architecture_json.h"

#include <string>

#include "server/model/json_codec.h"

namespace warmstart {
namespace {

using json_codec::Json;
using json_codec::Malformed;

// A double that comes back bit for bit: JSON has no infinities or NaN.
Json DoubleToJson(double value) {
  if (value != value) return "nan";
  if (value > 1.7976931348623157e308) return "inf";
  if (value < -1.7976931348623157e308) return "-inf";
  return value;
}

double DoubleFromJson(const Json& json) {
  return json.is_string() ? std::stod(json.get<std::string>())
                          : json.get<double>();
}

Json InitializerToJson(const Initializer& initializer) {
  if (const auto* init = std::get_if<ConstantInit>(&initializer)) {
    return Json{{"kind", "constant"}, {"value", DoubleToJson(init->value)}};
  }
  if (const auto* init = std::get_if<NormalInit>(&initializer)) {
    return Json{{"kind", "normal"}, {"mean", init->mean}, {"std", init->std}};
  }
  if (const auto* init = std::get_if<UniformInit>(&initializer)) {
    return Json{{"kind", "uniform"}, {"low", init->low}, {"high", init->high}};
  }
  if (const auto* init = std::get_if<FanInUniformInit>(&initializer)) {
    return Json{{"kind", "fan_in_uniform"}, {"fan_in", init->fan_in}};
  }
  const auto& init = std::get<KaimingUniformInit>(initializer);
  return Json{{"kind", "kaiming_uniform"},
              {"a", init.a},
              {"mode", static_cast<int>(init.mode)},
              {"nonlinearity", static_cast<int>(init.nonlinearity)}};
}

Initializer InitializerFromJson(const Json& json) {
  const std::string kind = json.at("kind").get<std::string>();
  if (kind == "constant") {
    return ConstantInit{DoubleFromJson(json.at("value"))};
  }
  if (kind == "normal") {
    return NormalInit{json.at("mean").get<double>(),
                      json.at("std").get<double>()};
  }
  if (kind == "uniform") {
    return UniformInit{json.at("low").get<double>(),
                       json.at("high").get<double>()};
  }
  if (kind == "fan_in_uniform") {
    return FanInUniformInit{json.at("fan_in").get<int64_t>()};
  }
  if (kind == "kaiming_uniform") {
    return KaimingUniformInit{
        json.at("a").get<double>(),
        static_cast<KaimingUniformInit::Mode>(json.at("mode").get<int>()),
        static_cast<KaimingUniformInit::Nonlinearity>(
            json.at("nonlinearity").get<int>())};
  }
  throw Malformed("unknown initializer '" + kind + "'");
}

Json EntryToJson(const ArchitectureEntry& entry) {
  Json json = json_codec::SpecToJson(entry.spec);
  json["key"] = entry.key;
  json["buffer"] = entry.kind == EntryKind::kBuffer;
  json["initializer"] = InitializerToJson(entry.initializer);
  if (!entry.tied_to.empty()) json["tied_to"] = entry.tied_to;
  return json;
}

ArchitectureEntry EntryFromJson(const Json& json) {
  return ArchitectureEntry{
      json.at("key").get<std::string>(), json_codec::SpecFromJson(json),
      json.at("buffer").get<bool>() ? EntryKind::kBuffer
                                    : EntryKind::kParameter,
      InitializerFromJson(json.at("initializer")),
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
  return json_codec::Dump(Json{{"name", architecture.name},
                               {"entries", std::move(entries)},
                               {"modules", std::move(modules)}});
}

absl::StatusOr<Architecture> ArchitectureFromJson(absl::string_view json) {
  return json_codec::Parse("architecture", json, Decode);
}

}  // namespace warmstart
