#include <string>

#include "server/model/json_codec.h"
#include "server/model/report.h"

namespace warmstart {
namespace {

using json_codec::Json;
using json_codec::Malformed;
using json_codec::ShapeFromJson;
using json_codec::ShapeToJson;
using json_codec::SpecFromJson;
using json_codec::SpecToJson;

constexpr TargetOutcome kTargetOutcomes[] = {
    TargetOutcome::kMatched, TargetOutcome::kRenamed,
    TargetOutcome::kAdapted, TargetOutcome::kCast,
    TargetOutcome::kKept,    TargetOutcome::kInitialized};
constexpr SourceOutcome kSourceOutcomes[] = {
    SourceOutcome::kUsed, SourceOutcome::kUnexpected, SourceOutcome::kExcluded,
    SourceOutcome::kShadowed, SourceOutcome::kMismatched};

TargetOutcome TargetOutcomeFromJson(const Json& json) {
  const std::string name = json.get<std::string>();
  for (TargetOutcome outcome : kTargetOutcomes) {
    if (TargetOutcomeName(outcome) == name) return outcome;
  }
  throw Malformed("unknown outcome '" + name + "'");
}

SourceOutcome SourceOutcomeFromJson(const Json& json) {
  const std::string name = json.get<std::string>();
  for (SourceOutcome outcome : kSourceOutcomes) {
    if (SourceOutcomeName(outcome) == name) return outcome;
  }
  throw Malformed("unknown outcome '" + name + "'");
}

// Reports are stored with every checkpoint, so what goes without saying is left
// out: a source key or spec that is the target's own.
Json ToJson(const TargetReport& entry) {
  Json json = SpecToJson(entry.spec);
  json["key"] = entry.key;
  if (entry.kind == EntryKind::kBuffer) json["buffer"] = true;
  json["outcome"] = std::string(TargetOutcomeName(entry.outcome));
  if (entry.source >= 0) {
    json["source"] = entry.source;
    if (entry.source_key != entry.key) json["source_key"] = entry.source_key;
    if (entry.source_spec != entry.spec && entry.source_spec.has_value()) {
      json["source_spec"] = SpecToJson(*entry.source_spec);
    }
  }
  if (!entry.rules.empty()) json["rules"] = entry.rules;
  if (!entry.initializer.empty()) json["initializer"] = entry.initializer;
  return json;
}

TargetReport TargetReportFromJson(const Json& json) {
  TargetReport entry;
  entry.key = json.at("key").get<std::string>();
  entry.kind =
      json.value("buffer", false) ? EntryKind::kBuffer : EntryKind::kParameter;
  entry.outcome = TargetOutcomeFromJson(json.at("outcome"));
  entry.spec = SpecFromJson(json);
  entry.source = json.value("source", -1);
  if (entry.source >= 0) {
    entry.source_key = json.value("source_key", entry.key);
    entry.source_spec = json.contains("source_spec")
                            ? SpecFromJson(json.at("source_spec"))
                            : entry.spec;
  }
  entry.rules = json.value("rules", std::vector<std::string>());
  entry.initializer = json.value("initializer", std::string());
  return entry;
}

Json ToJson(const SourceReport& entry) {
  return Json::array({entry.source, entry.key,
                      std::string(SourceOutcomeName(entry.outcome)),
                      std::string(DTypeName(entry.spec.dtype())),
                      ShapeToJson(entry.spec.shape())});
}

SourceReport SourceReportFromJson(const Json& json) {
  return SourceReport{
      json.at(0).get<int32_t>(), json.at(1).get<std::string>(),
      SourceOutcomeFromJson(json.at(2)),
      json_codec::OrThrow(TensorSpec::Create(
          json_codec::OrThrow(ParseDType(json.at(3).get<std::string>())),
          ShapeFromJson(json.at(4))))};
}

Json ToJson(const ShapeMismatch& mismatch) {
  return Json{{"key", mismatch.key},
              {"source_key", mismatch.source_key},
              {"source_shape", ShapeToJson(mismatch.source_shape)},
              {"target_shape", ShapeToJson(mismatch.target_shape)}};
}

ShapeMismatch ShapeMismatchFromJson(const Json& json) {
  return ShapeMismatch{json.at("key").get<std::string>(),
                       json.at("source_key").get<std::string>(),
                       ShapeFromJson(json.at("source_shape")),
                       ShapeFromJson(json.at("target_shape"))};
}

Json ToJson(const RuleUse& use) {
  return Json{{"rule", use.rule}, {"keys", use.keys}};
}

RuleUse RuleUseFromJson(const Json& json) {
  return RuleUse{json.at("rule").get<std::string>(),
                 json.at("keys").get<int64_t>()};
}

Json ToJson(const Coverage& coverage) {
  return Json::array({coverage.keys_loaded, coverage.keys_total,
                      coverage.parameters_loaded, coverage.parameters_total,
                      coverage.bytes_loaded, coverage.bytes_total});
}

Coverage CoverageFromJson(const Json& json) {
  return Coverage{json.at(0).get<int64_t>(), json.at(1).get<int64_t>(),
                  json.at(2).get<int64_t>(), json.at(3).get<int64_t>(),
                  json.at(4).get<int64_t>(), json.at(5).get<int64_t>()};
}

template <typename T>
Json ListToJson(const std::vector<T>& values) {
  Json list = Json::array();
  for (const T& value : values) list.push_back(ToJson(value));
  return list;
}

template <typename T>
std::vector<T> ListFromJson(const Json& json, T (*decode)(const Json&)) {
  std::vector<T> values;
  values.reserve(json.size());
  for (const Json& value : json) values.push_back(decode(value));
  return values;
}

MatchReport Decode(const Json& json) {
  MatchReport report;
  report.architecture = json.at("architecture").get<std::string>();
  report.summary = json.at("summary").get<std::string>();
  report.missing_keys = json.at("missing_keys").get<std::vector<std::string>>();
  report.unexpected_keys =
      json.at("unexpected_keys").get<std::vector<std::string>>();
  report.mismatched_keys =
      ListFromJson(json.at("mismatched_keys"), ShapeMismatchFromJson);
  report.coverage = CoverageFromJson(json.at("coverage"));
  report.entries = ListFromJson(json.at("entries"), TargetReportFromJson);
  report.source_entries =
      ListFromJson(json.at("source_entries"), SourceReportFromJson);
  report.rules = ListFromJson(json.at("rules"), RuleUseFromJson);
  report.subtrees = json.at("subtrees").get<std::vector<std::string>>();
  report.notes = json.at("notes").get<std::vector<std::string>>();
  return report;
}

}  // namespace

std::string MatchReportToJson(const MatchReport& report) {
  return json_codec::Dump(
      Json{{"architecture", report.architecture},
           {"summary", report.summary},
           {"missing_keys", report.missing_keys},
           {"unexpected_keys", report.unexpected_keys},
           {"mismatched_keys", ListToJson(report.mismatched_keys)},
           {"coverage", ToJson(report.coverage)},
           {"entries", ListToJson(report.entries)},
           {"source_entries", ListToJson(report.source_entries)},
           {"rules", ListToJson(report.rules)},
           {"subtrees", report.subtrees},
           {"notes", report.notes}});
}

absl::StatusOr<MatchReport> MatchReportFromJson(absl::string_view json) {
  return json_codec::Parse("report", json, Decode);
}

}  // namespace warmstart
