#include "server/service/origin.h"

#include <exception>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace warmstart::service {
namespace {

using Json = nlohmann::ordered_json;

Json Encode(const UploadOrigin& origin) {
  Json skipped = Json::array();
  for (const format::SkippedValue& value : origin.skipped) {
    skipped.push_back({{"path", value.path}, {"reason", value.reason}});
  }
  Json json = {{"kind", "upload"},
               {"files", origin.files},
               {"format", origin.format},
               {"skipped", std::move(skipped)}};
  if (origin.delta.has_value()) {
    json["delta"] = {{"tensors", origin.delta->num_tensors},
                     {"bytes", origin.delta->num_bytes}};
  }
  return json;
}

Json Encode(const InitializationOrigin& origin) {
  return {{"kind", "initialization"},
          {"seed", origin.seed},
          {"device", origin.device}};
}

Json Encode(const WarmStartOrigin& origin) {
  Json sources = Json::array();
  for (const CheckpointName& source : origin.sources) {
    sources.push_back(source.ToString());
  }
  Json json = {{"kind", "warm_start"},
               {"sources", std::move(sources)},
               {"seed", origin.seed},
               {"device", origin.device}};
  if (origin.request.has_value()) json["request"] = *origin.request;
  return json;
}

UploadOrigin DecodeUpload(const Json& json) {
  UploadOrigin origin;
  origin.files = json.at("files").get<std::vector<std::string>>();
  origin.format = json.at("format").get<std::string>();
  for (const Json& value : json.at("skipped")) {
    origin.skipped.push_back({value.at("path").get<std::string>(),
                              value.at("reason").get<std::string>()});
  }
  if (const auto delta = json.find("delta"); delta != json.end()) {
    origin.delta = DeltaOrigin{delta->at("tensors").get<int64_t>(),
                               delta->at("bytes").get<int64_t>()};
  }
  return origin;
}

absl::StatusOr<Origin> Decode(const Json& json) {
  const std::string kind = json.at("kind").get<std::string>();
  if (kind == "upload") return DecodeUpload(json);
  if (kind == "initialization") {
    return InitializationOrigin{json.at("seed").get<uint64_t>(),
                                json.at("device").get<std::string>()};
  }
  if (kind != "warm_start") {
    return absl::DataLossError(
        absl::StrCat("a stored origin is of unknown kind '", kind, "'"));
  }
  WarmStartOrigin origin;
  origin.seed = json.at("seed").get<uint64_t>();
  origin.device = json.at("device").get<std::string>();
  if (json.contains("request")) {
    origin.request = json.at("request").get<std::string>();
  }
  for (const Json& source : json.at("sources")) {
    absl::StatusOr<CheckpointName> name =
        CheckpointName::Parse(source.get<std::string>());
    if (!name.ok()) return absl::DataLossError(name.status().message());
    origin.sources.push_back(*std::move(name));
  }
  return origin;
}

}  // namespace

std::string OriginToJson(const Origin& origin) {
  const Json json =
      std::visit([](const auto& kind) { return Encode(kind); }, origin);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<Origin> OriginFromJson(absl::string_view json) {
  // nlohmann::json reports by exceptions; they end here.
  try {
    return Decode(Json::parse(json.begin(), json.end()));
  } catch (const std::exception& error) {
    return absl::DataLossError(
        absl::StrCat("a stored origin cannot be read: ", error.what()));
  }
}

}  // namespace warmstart::service
