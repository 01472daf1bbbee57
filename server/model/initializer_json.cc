#include "server/model/initializer_json.h"

#include <string>

namespace warmstart::json_codec {
namespace {

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

// Modes and nonlinearities are their numbers: never renumber those.
template <typename Init>
Json KaimingToJson(const char* kind, const Init& init) {
  return Json{{"kind", kind},
              {"a", init.a},
              {"mode", static_cast<int>(init.mode)},
              {"nonlinearity", static_cast<int>(init.nonlinearity)}};
}

template <typename Init>
Init KaimingFromJson(const Json& json) {
  Init init;
  init.a = json.at("a").get<double>();
  init.mode = static_cast<FanMode>(json.at("mode").get<int>());
  init.nonlinearity =
      static_cast<Nonlinearity>(json.at("nonlinearity").get<int>());
  return init;
}

struct ToJson {
  Json operator()(const ConstantInit& init) const {
    return {{"kind", "constant"}, {"value", DoubleToJson(init.value)}};
  }
  Json operator()(const NormalInit& init) const {
    Json json = {{"kind", "normal"}, {"mean", init.mean}, {"std", init.std}};
    if (init.zero_row.has_value()) json["zero_row"] = *init.zero_row;
    return json;
  }
  Json operator()(const UniformInit& init) const {
    return {{"kind", "uniform"}, {"low", init.low}, {"high", init.high}};
  }
  Json operator()(const KaimingUniformInit& init) const {
    return KaimingToJson("kaiming_uniform", init);
  }
  Json operator()(const KaimingNormalInit& init) const {
    return KaimingToJson("kaiming_normal", init);
  }
  Json operator()(const XavierUniformInit& init) const {
    return {{"kind", "xavier_uniform"}, {"gain", init.gain}};
  }
  Json operator()(const XavierNormalInit& init) const {
    return {{"kind", "xavier_normal"}, {"gain", init.gain}};
  }
  Json operator()(const TruncNormalInit& init) const {
    return {{"kind", "trunc_normal"},
            {"mean", init.mean},
            {"std", init.std},
            {"a", init.a},
            {"b", init.b}};
  }
  Json operator()(const OrthogonalInit& init) const {
    return {{"kind", "orthogonal"}, {"gain", init.gain}};
  }
  Json operator()(const SparseInit& init) const {
    return {{"kind", "sparse"}, {"sparsity", init.sparsity}, {"std", init.std}};
  }
  Json operator()(const EyeInit&) const { return {{"kind", "eye"}}; }
  Json operator()(const DiracInit& init) const {
    return {{"kind", "dirac"}, {"groups", init.groups}};
  }
  Json operator()(const FanInUniformInit& init) const {
    return {{"kind", "fan_in_uniform"}, {"fan_in", init.fan_in}};
  }
  Json operator()(const StoredInit& init) const {
    return {
        {"kind", "stored"}, {"key", init.key}, {"digest", init.digest.ToHex()}};
  }
};

}  // namespace

Json InitializerToJson(const Initializer& initializer) {
  return std::visit(ToJson{}, initializer);
}

Initializer InitializerFromJson(const Json& json) {
  const std::string kind = json.at("kind").get<std::string>();
  const auto number = [&](const char* name) {
    return json.at(name).get<double>();
  };
  if (kind == "constant") return ConstantInit{DoubleFromJson(json.at("value"))};
  if (kind == "normal") {
    NormalInit init{number("mean"), number("std"), std::nullopt};
    if (json.contains("zero_row")) {
      init.zero_row = json.at("zero_row").get<int64_t>();
    }
    return init;
  }
  if (kind == "uniform") return UniformInit{number("low"), number("high")};
  if (kind == "kaiming_uniform") {
    return KaimingFromJson<KaimingUniformInit>(json);
  }
  if (kind == "kaiming_normal") return KaimingFromJson<KaimingNormalInit>(json);
  if (kind == "xavier_uniform") return XavierUniformInit{number("gain")};
  if (kind == "xavier_normal") return XavierNormalInit{number("gain")};
  if (kind == "trunc_normal") {
    return TruncNormalInit{number("mean"), number("std"), number("a"),
                           number("b")};
  }
  if (kind == "orthogonal") return OrthogonalInit{number("gain")};
  if (kind == "sparse") return SparseInit{number("sparsity"), number("std")};
  if (kind == "eye") return EyeInit{};
  if (kind == "dirac") return DiracInit{json.at("groups").get<int64_t>()};
  if (kind == "fan_in_uniform") {
    return FanInUniformInit{json.at("fan_in").get<int64_t>()};
  }
  if (kind == "stored") {
    return StoredInit{
        json.at("key").get<std::string>(),
        OrThrow(Digest::FromHex(json.at("digest").get<std::string>()))};
  }
  throw Malformed("unknown initializer '" + kind + "'");
}

}  // namespace warmstart::json_codec
