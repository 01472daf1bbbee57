#include "server/rpc/metadata_translation.h"

#include <string>

#include "nlohmann/json.hpp"

namespace warmstart::rpc {
namespace {

using Json = nlohmann::json;
using google::protobuf::Struct;
using google::protobuf::Value;

void ToProto(const Json& json, int depth, Value* proto);

void ToProto(const Json& json, int depth, Struct* proto) {
  for (const auto& [key, value] : json.items()) {
    ToProto(value, depth, &(*proto->mutable_fields())[key]);
  }
}

// `depth` is the number of containers around the value.
void ToProto(const Json& json, int depth, Value* proto) {
  const bool is_deep = json.is_structured() && depth >= kMaxMetadataDepth;
  if (is_deep) {
    proto->set_string_value(
        json.dump(-1, ' ', false, Json::error_handler_t::replace));
  } else if (json.is_object()) {
    ToProto(json, depth + 1, proto->mutable_struct_value());
  } else if (json.is_array()) {
    auto* list = proto->mutable_list_value();
    for (const Json& value : json) {
      ToProto(value, depth + 1, list->add_values());
    }
  } else if (json.is_string()) {
    proto->set_string_value(json.get_ref<const std::string&>());
  } else if (json.is_boolean()) {
    proto->set_bool_value(json.get<bool>());
  } else if (json.is_number()) {
    proto->set_number_value(json.get<double>());
  } else {
    proto->set_null_value(google::protobuf::NULL_VALUE);
  }
}

}  // namespace

absl::Status MetadataToProto(absl::string_view json, Struct* proto) {
  const Json parsed = Json::parse(json.begin(), json.end(), /*cb=*/nullptr,
                                  /*allow_exceptions=*/false);
  if (!parsed.is_object()) {
    return absl::DataLossError("stored metadata is no JSON object");
  }
  ToProto(parsed, 1, proto);
  return absl::OkStatus();
}

}  // namespace warmstart::rpc
