// Shared by the JSON forms of this folder; not for other rooms, so that
// nlohmann::json stays out of public headers.

#ifndef WARMSTART_SERVER_MODEL_JSON_CODEC_H_
#define WARMSTART_SERVER_MODEL_JSON_CODEC_H_

#include <exception>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "server/model/tensor_spec.h"

namespace warmstart::json_codec {

using Json = nlohmann::ordered_json;

// Thrown and caught inside this folder alone: nlohmann::json reports what it
// misses by exceptions, and so the decoders do too.
class Malformed : public std::exception {
 public:
  explicit Malformed(std::string what) : what_(std::move(what)) {}
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

template <typename T>
T OrThrow(absl::StatusOr<T> value) {
  if (!value.ok()) throw Malformed(std::string(value.status().message()));
  return *std::move(value);
}

inline Json ShapeToJson(const Shape& shape) {
  return Json(std::vector<int64_t>(shape.sizes().begin(), shape.sizes().end()));
}

inline Shape ShapeFromJson(const Json& json) {
  return OrThrow(Shape::Create(json.get<std::vector<int64_t>>()));
}

inline Json SpecToJson(const TensorSpec& spec) {
  return Json{{"dtype", std::string(DTypeName(spec.dtype()))},
              {"shape", ShapeToJson(spec.shape())}};
}

inline TensorSpec SpecFromJson(const Json& json) {
  return OrThrow(TensorSpec::Create(
      OrThrow(ParseDType(json.at("dtype").get<std::string>())),
      ShapeFromJson(json.at("shape"))));
}

// Text that is replaced where it is no UTF-8 is better than an exception: keys
// are UTF-8 already, only messages may not be.
inline std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Runs decode(parsed text) and turns every exception into DATA_LOSS.
template <typename Decode>
auto Parse(absl::string_view what, absl::string_view text, Decode decode)
    -> absl::StatusOr<std::invoke_result_t<Decode, const Json&>> {
  try {
    return decode(Json::parse(text.begin(), text.end()));
  } catch (const std::exception& error) {
    return absl::DataLossError(
        absl::StrCat("a stored ", what, " cannot be read: ", error.what()));
  }
}

}  // namespace warmstart::json_codec

#endif  // WARMSTART_SERVER_MODEL_JSON_CODEC_H_
