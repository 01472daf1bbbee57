#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "server/model/json_codec.h"
#include "server/model/json_writer.h"
#include "server/model/report.h"

namespace warmstart {
namespace {

using json_codec::Json;
using json_codec::Malformed;
using json_codec::ShapeFromJson;
using json_codec::SpecFromJson;

constexpr TargetOutcome kTargetOutcomes[] = {
    TargetOutcome::kMatched,    TargetOutcome::kRenamed,
    TargetOutcome::kAdapted,    TargetOutcome::kAveraged,
    TargetOutcome::kCast,       TargetOutcome::kKept,
    TargetOutcome::kInitialized};
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

// As the fields of an object.
void WriteSpec(JsonWriter& json, const TensorSpec& spec) {
  json.Key("dtype").String(DTypeName(spec.dtype()));
  json.Key("shape").Ints(spec.shape().sizes());
}

// `key` and `text`, if there is any.
void WriteText(JsonWriter& json, absl::string_view key,
               const std::string& text) {
  if (!text.empty()) json.Key(key).String(text);
}

void Write(JsonWriter& json, const SourceTensorName& name) {
  json.BeginArray();
  json.Int(name.source);
  json.String(name.key);
  json.EndArray();
}

SourceTensorName SourceTensorNameFromJson(const Json& json) {
  return SourceTensorName{json.at(0).get<int32_t>(),
                          json.at(1).get<std::string>()};
}

template <typename T>
std::vector<T> ListFromJson(const Json& json, T (*decode)(const Json&)) {
  std::vector<T> values;
  values.reserve(json.size());
  for (const Json& value : json) values.push_back(decode(value));
  return values;
}

// Whether it is what becomes of most keys.
bool IsPlain(const TargetReport& entry) {
  return entry.outcome == TargetOutcome::kMatched && entry.source == 0;
}

// Reports are stored with every checkpoint, so what goes without saying is left
// out: that a key was matched with the first source's, a source key or spec
// that is the target's own.
void Write(JsonWriter& json, const TargetReport& entry) {
  json.BeginObject();
  WriteSpec(json, entry.spec);
  json.Key("key").String(entry.key);
  if (entry.kind == EntryKind::kBuffer) json.Key("buffer").Bool(true);
  if (!IsPlain(entry)) {
    json.Key("outcome").String(TargetOutcomeName(entry.outcome));
    if (entry.source >= 0) json.Key("source").Int(entry.source);
  }
  if (entry.source >= 0) {
    if (entry.source_key != entry.key) {
      json.Key("source_key").String(entry.source_key);
    }
    if (entry.source_spec != entry.spec && entry.source_spec.has_value()) {
      json.Key("source_spec").BeginObject();
      WriteSpec(json, *entry.source_spec);
      json.EndObject();
    }
  }
  if (!entry.more_sources.empty()) {
    json.Key("more_sources")
        .Array(entry.more_sources,
               [](JsonWriter& out, const auto& name) { Write(out, name); });
  }
  if (!entry.rules.empty()) json.Key("rules").Strings(entry.rules);
  WriteText(json, "derivation", entry.derivation);
  WriteText(json, "adaptation", entry.adaptation);
  WriteText(json, "initializer", entry.initializer);
  WriteText(json, "tied_to", entry.tied_to);
  if (entry.counts != ValueCounts{}) {
    json.Key("counts").Ints(std::initializer_list<int64_t>{
        entry.counts.overflowed, entry.counts.underflowed});
  }
  json.EndObject();
}

TargetReport TargetReportFromJson(const Json& json) {
  TargetReport entry;
  entry.key = json.at("key").get<std::string>();
  entry.kind =
      json.value("buffer", false) ? EntryKind::kBuffer : EntryKind::kParameter;
  entry.spec = SpecFromJson(json);
  if (json.contains("outcome")) {
    entry.outcome = TargetOutcomeFromJson(json.at("outcome"));
    entry.source = json.value("source", -1);
  } else {
    entry.outcome = TargetOutcome::kMatched;
    entry.source = 0;
  }
  if (entry.source >= 0) {
    entry.source_key = json.value("source_key", entry.key);
    entry.source_spec = json.contains("source_spec")
                            ? SpecFromJson(json.at("source_spec"))
                            : entry.spec;
  }
  if (json.contains("more_sources")) {
    entry.more_sources =
        ListFromJson(json.at("more_sources"), SourceTensorNameFromJson);
  }
  entry.rules = json.value("rules", std::vector<std::string>());
  entry.derivation = json.value("derivation", std::string());
  entry.adaptation = json.value("adaptation", std::string());
  entry.initializer = json.value("initializer", std::string());
  entry.tied_to = json.value("tied_to", std::string());
  if (json.contains("counts")) {
    const Json& counts = json.at("counts");
    entry.counts = {counts.at(0).get<int64_t>(), counts.at(1).get<int64_t>()};
  }
  return entry;
}

void Write(JsonWriter& json, const SourceReport& entry) {
  json.BeginArray();
  json.Int(entry.source);
  json.String(entry.key);
  json.String(SourceOutcomeName(entry.outcome));
  json.String(DTypeName(entry.spec.dtype()));
  json.Ints(entry.spec.shape().sizes());
  json.EndArray();
}

SourceReport SourceReportFromJson(const Json& json) {
  return SourceReport{
      json.at(0).get<int32_t>(), json.at(1).get<std::string>(),
      SourceOutcomeFromJson(json.at(2)),
      json_codec::OrThrow(TensorSpec::Create(
          json_codec::OrThrow(ParseDType(json.at(3).get<std::string>())),
          ShapeFromJson(json.at(4))))};
}

// The entries of a report by the tensors that they are made of.
using SourceKey = std::pair<int32_t, absl::string_view>;
using EntryIndex = absl::flat_hash_map<SourceKey, size_t>;

EntryIndex IndexBySource(const std::vector<TargetReport>& entries) {
  EntryIndex index;
  index.reserve(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].source < 0) continue;
    index.emplace(SourceKey(entries[i].source, entries[i].source_key), i);
  }
  return index;
}

// Most tensors of a source were used, and an entry of the target says all of
// them: then the number of that entry is enough.
void WriteSourceEntries(JsonWriter& json, const MatchReport& report) {
  const EntryIndex index = IndexBySource(report.entries);
  const auto write = [&](JsonWriter& out, const SourceReport& entry) {
    const auto found = index.find(SourceKey(entry.source, entry.key));
    if (found != index.end() && entry.outcome == SourceOutcome::kUsed &&
        report.entries[found->second].source_spec == entry.spec) {
      out.Int(static_cast<int64_t>(found->second));
    } else {
      Write(out, entry);
    }
  };
  json.Key("source_entries").Array(report.source_entries, write);
}

SourceReport SourceReportOf(const TargetReport& entry) {
  if (!entry.source_spec.has_value()) throw Malformed("an entry of no source");
  return SourceReport{entry.source, entry.source_key, SourceOutcome::kUsed,
                      *entry.source_spec};
}

std::vector<SourceReport> SourceEntriesFromJson(
    const Json& json, const std::vector<TargetReport>& entries) {
  std::vector<SourceReport> reports;
  reports.reserve(json.size());
  for (const Json& value : json) {
    reports.push_back(value.is_array()
                          ? SourceReportFromJson(value)
                          : SourceReportOf(entries.at(value.get<size_t>())));
  }
  return reports;
}

void Write(JsonWriter& json, const ShapeMismatch& mismatch) {
  json.BeginObject();
  json.Key("key").String(mismatch.key);
  json.Key("source_key").String(mismatch.source_key);
  json.Key("source_shape").Ints(mismatch.source_shape.sizes());
  json.Key("target_shape").Ints(mismatch.target_shape.sizes());
  json.EndObject();
}

ShapeMismatch ShapeMismatchFromJson(const Json& json) {
  return ShapeMismatch{json.at("key").get<std::string>(),
                       json.at("source_key").get<std::string>(),
                       ShapeFromJson(json.at("source_shape")),
                       ShapeFromJson(json.at("target_shape"))};
}

void Write(JsonWriter& json, const RuleUse& use) {
  json.BeginObject();
  json.Key("rule").String(use.rule);
  json.Key("keys").Int(use.keys);
  if (use.automatic) json.Key("automatic").Bool(true);
  json.EndObject();
}

RuleUse RuleUseFromJson(const Json& json) {
  return RuleUse{json.at("rule").get<std::string>(),
                 json.at("keys").get<int64_t>(),
                 json.value("automatic", false)};
}

void Write(JsonWriter& json, const RuleSuggestion& suggestion) {
  json.BeginObject();
  json.Key("rule").String(suggestion.rule);
  json.Key("keys").Int(suggestion.keys);
  json.Key("parameters").Int(suggestion.parameters);
  json.EndObject();
}

RuleSuggestion RuleSuggestionFromJson(const Json& json) {
  return RuleSuggestion{json.at("rule").get<std::string>(),
                        json.at("keys").get<int64_t>(),
                        json.at("parameters").get<int64_t>()};
}

void Write(JsonWriter& json, const Coverage& coverage) {
  json.Ints(std::initializer_list<int64_t>{
      coverage.keys_loaded, coverage.keys_total, coverage.parameters_loaded,
      coverage.parameters_total, coverage.bytes_loaded, coverage.bytes_total});
}

Coverage CoverageFromJson(const Json& json) {
  return Coverage{json.at(0).get<int64_t>(), json.at(1).get<int64_t>(),
                  json.at(2).get<int64_t>(), json.at(3).get<int64_t>(),
                  json.at(4).get<int64_t>(), json.at(5).get<int64_t>()};
}

// `key` and an array of `values`.
template <typename T>
void WriteList(JsonWriter& json, absl::string_view key,
               const std::vector<T>& values) {
  json.Key(key).Array(
      values, [](JsonWriter& out, const T& value) { Write(out, value); });
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
      SourceEntriesFromJson(json.at("source_entries"), report.entries);
  report.rules = ListFromJson(json.at("rules"), RuleUseFromJson);
  if (json.contains("suggestions")) {
    report.suggestions =
        ListFromJson(json.at("suggestions"), RuleSuggestionFromJson);
  }
  report.subtrees = json.at("subtrees").get<std::vector<std::string>>();
  report.notes = json.at("notes").get<std::vector<std::string>>();
  return report;
}

}  // namespace

std::string MatchReportToJson(const MatchReport& report) {
  JsonWriter json;
  json.BeginObject();
  json.Key("architecture").String(report.architecture);
  json.Key("summary").String(report.summary);
  json.Key("missing_keys").Strings(report.missing_keys);
  json.Key("unexpected_keys").Strings(report.unexpected_keys);
  WriteList(json, "mismatched_keys", report.mismatched_keys);
  json.Key("coverage");
  Write(json, report.coverage);
  WriteList(json, "entries", report.entries);
  WriteSourceEntries(json, report);
  WriteList(json, "rules", report.rules);
  if (!report.suggestions.empty()) {
    WriteList(json, "suggestions", report.suggestions);
  }
  json.Key("subtrees").Strings(report.subtrees);
  json.Key("notes").Strings(report.notes);
  json.EndObject();
  return std::move(json).Take();
}

absl::StatusOr<MatchReport> MatchReportFromJson(absl::string_view json) {
  return json_codec::Parse("report", json, Decode);
}

}  // namespace warmstart
