#include "client/cli/matching_flags.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "client/cli/initializer_flag.h"
#include "client/cli/json.h"
#include "client/cli/usage_error.h"
#include "client/cli/values.h"
#include "client/cli/yaml.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

// What a rules file may set: how tensors are matched, and nothing of what is
// matched or where the result goes.
constexpr absl::string_view kRulesFields[] = {
    "key_rules",         "invert_key_rules",
    "key_matching",      "combination",
    "shape_adapters",    "widenings",
    "initializers",      "include",
    "exclude",           "strict",
    "on_shape_mismatch", "on_dtype_mismatch",
    "min_coverage",      "coverage_gates",
    "expected_missing",  "expected_unexpected",
    "refuse_non_finite"};

// "name" or "name=value" (or another divider), the value "" where there is
// none.
std::pair<std::string, std::string> NameAndValue(const std::string& text,
                                                 char divider) {
  return absl::StrSplit(text, absl::MaxSplits(divider, 1));
}

absl::StatusOr<double> Number(absl::string_view what, const std::string& text) {
  double value = 0;
  if (absl::SimpleAtod(text, &value) && std::isfinite(value)) return value;
  return UsageError(absl::StrCat(what, ": '", text, "' is not a number"));
}

// A glob may hold a "=", an adapter's name does not: divided at the last one.
absl::StatusOr<std::pair<std::string, std::string>> GlobAndName(
    absl::string_view what, absl::string_view form, const std::string& text) {
  const size_t divider = text.rfind('=');
  if (divider == std::string::npos || divider == 0) {
    return UsageError(
        absl::StrCat(what, ": '", text, "' is not of the form ", form));
  }
  return std::make_pair(text.substr(0, divider), text.substr(divider + 1));
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (file.is_open() && !file.bad()) return text;
  return absl::NotFoundError(absl::StrCat(path, " cannot be read"));
}

absl::Status CheckRulesFields(const v1::WarmStartRequest& request) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  request.GetReflection()->ListFields(request, &fields);
  for (const google::protobuf::FieldDescriptor* field : fields) {
    const absl::string_view name = field->name();
    if (std::find(std::begin(kRulesFields), std::end(kRulesFields), name) !=
        std::end(kRulesFields)) {
      continue;
    }
    return absl::InvalidArgumentError(
        absl::StrCat(name, " has no place in a rules file, which has ",
                     absl::StrJoin(kRulesFields, ", ")));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::WarmStartRequest> ParseRules(const std::string& path,
                                                std::string text) {
  if (absl::EndsWith(path, ".yaml") || absl::EndsWith(path, ".yml")) {
    CLIENT_ASSIGN_OR_RETURN(text, YamlToJson(text));
  }
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && text[first] == '[') {
    text = absl::StrCat("{\"key_rules\": ", text, "}");
  }
  v1::WarmStartRequest request;
  CLIENT_RETURN_IF_ERROR(FromJson(text, request));
  CLIENT_RETURN_IF_ERROR(CheckRulesFields(request));
  return request;
}

absl::Status SetAdapter(const std::string& name, const std::string& option,
                        v1::ShapeAdapter& adapter) {
  const google::protobuf::Descriptor* type = v1::ShapeAdapter::descriptor();
  const google::protobuf::OneofDescriptor* kinds =
      type->FindOneofByName("kind");
  std::vector<std::string> names;
  for (int i = 0; i < kinds->field_count(); ++i) {
    names.push_back(kinds->field(i)->name());
    if (names.back() != name) continue;
    adapter.GetReflection()->MutableMessage(&adapter, kinds->field(i));
    if (option.empty()) return absl::OkStatus();
    if (name == "rows" && option == "mean") {
      adapter.mutable_rows()->set_mean(true);
      return absl::OkStatus();
    }
    if (name == "inflate" && option == "center") {
      adapter.mutable_inflate()->set_center(true);
      return absl::OkStatus();
    }
    return UsageError(absl::StrCat("--adapt: ", name, " has no '", option,
                                   "'; more can be said in a --rules file"));
  }
  return UsageError(absl::StrCat("--adapt: '", name, "' is none of ",
                                 absl::StrJoin(names, ", ")));
}

}  // namespace

absl::StatusOr<v1::KeyRule> ParseTemplate(const std::string& text) {
  CLIENT_ASSIGN_OR_RETURN(auto parts, ParsePair("--template", "TO=FROM", text));
  v1::KeyRule rule;
  rule.mutable_template_()->set_to(std::move(parts.first));
  rule.mutable_template_()->set_from(std::move(parts.second));
  return rule;
}

absl::StatusOr<v1::KeyRule> ParseRule(const std::string& text) {
  v1::KeyRule rule;
  const absl::Status status = FromJson(text, rule);
  if (status.ok()) return rule;
  return UsageError(absl::StrCat("--rule: ", status.message()));
}

absl::Status ReadRulesFile(const std::string& path,
                           v1::WarmStartRequest& request) {
  CLIENT_ASSIGN_OR_RETURN(std::string text, ReadFile(path));
  const absl::StatusOr<v1::WarmStartRequest> rules =
      ParseRules(path, std::move(text));
  if (!rules.ok()) {
    return absl::Status(rules.status().code(),
                        absl::StrCat(path, ": ", rules.status().message()));
  }
  request.MergeFrom(*rules);
  return absl::OkStatus();
}

absl::StatusOr<v1::Combination> ParseCombination(const std::string& text) {
  const auto [name, value] = NameAndValue(text, '=');
  v1::Combination combination;
  if (name == "overlay") {
    return combination;
  } else if (name == "average") {
    combination.mutable_weighted_average();
  } else if (name == "task-arithmetic") {
    combination.mutable_task_arithmetic();
  } else if (name == "moving-average") {
    CLIENT_ASSIGN_OR_RETURN(const double decay,
                            Number("--combine moving-average", value));
    combination.mutable_moving_average()->set_decay(decay);
  } else if (name == "slerp") {
    CLIENT_ASSIGN_OR_RETURN(const double t, Number("--combine slerp", value));
    combination.mutable_slerp()->set_t(t);
  } else {
    return UsageError(
        absl::StrCat("--combine: '", text,
                     "' is none of overlay, average, moving-average=DECAY, "
                     "slerp=T, task-arithmetic"));
  }
  return combination;
}

absl::StatusOr<v1::LoraAdapter> ParseLora(const std::string& text) {
  const auto [alpha, option] = NameAndValue(text, ',');
  v1::LoraAdapter lora;
  CLIENT_ASSIGN_OR_RETURN(const double value, Number("--lora", alpha));
  lora.set_alpha(value);
  if (!option.empty() && option != "rslora") {
    return UsageError(
        absl::StrCat("--lora: '", text, "' is not ALPHA or ALPHA,rslora"));
  }
  lora.set_rslora(option == "rslora");
  return lora;
}

absl::StatusOr<v1::ShapeAdapter> ParseAdapter(const std::string& text) {
  CLIENT_ASSIGN_OR_RETURN(const auto parts,
                          GlobAndName("--adapt", "GLOB=ADAPTER", text));
  v1::ShapeAdapter adapter;
  adapter.set_keys(parts.first);
  const auto [name, option] = NameAndValue(parts.second, ':');
  CLIENT_RETURN_IF_ERROR(SetAdapter(name, option, adapter));
  return adapter;
}

absl::StatusOr<v1::InitializerOverride> ParseInitializer(
    const std::string& text) {
  // The arguments of an initializer have a "=" of their own.
  const size_t arguments =
      absl::EndsWith(text, ")") ? text.rfind('(') : std::string::npos;
  CLIENT_ASSIGN_OR_RETURN(auto parts, GlobAndName("--init", "GLOB=INITIALIZER",
                                                  text.substr(0, arguments)));
  if (arguments != std::string::npos) parts.second += text.substr(arguments);
  v1::InitializerOverride override;
  override.set_keys(parts.first);
  CLIENT_ASSIGN_OR_RETURN(*override.mutable_initializer(),
                          ReadInitializer(parts.second));
  return override;
}

absl::StatusOr<v1::CoverageGate> ParseCoverageGate(const std::string& text) {
  CLIENT_ASSIGN_OR_RETURN(const auto parts,
                          GlobAndName("--coverage", "GLOB=FRACTION", text));
  CLIENT_ASSIGN_OR_RETURN(const double fraction,
                          Number("--coverage", parts.second));
  v1::CoverageGate gate;
  gate.set_keys(parts.first);
  gate.set_min_coverage(fraction);
  return gate;
}

}  // namespace warmstart::client
