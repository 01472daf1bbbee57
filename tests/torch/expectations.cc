#include "tests/torch/expectations.h"

#include <cstdint>
#include <fstream>
#include <vector>

#include "absl/strings/escaping.h"

namespace warmstart::backend::testing {
namespace {

Nonlinearity NonlinearityFromName(const std::string& name) {
  if (name == "relu") return Nonlinearity::kRelu;
  if (name == "linear") return Nonlinearity::kLinear;
  if (name == "tanh") return Nonlinearity::kTanh;
  if (name == "sigmoid") return Nonlinearity::kSigmoid;
  if (name == "selu") return Nonlinearity::kSelu;
  return Nonlinearity::kLeakyRelu;
}

template <typename Init>
Init KaimingFromJson(const nlohmann::json& json) {
  return {.a = json["a"],
          .mode = json["mode"] == "fan_in" ? FanMode::kFanIn : FanMode::kFanOut,
          .nonlinearity = NonlinearityFromName(json["nonlinearity"])};
}

const nlohmann::json* ReadFile(const std::string& name) {
  std::ifstream file(WARMSTART_EXPECTATIONS "/" + name);
  return new nlohmann::json(nlohmann::json::parse(file));
}

}  // namespace

const nlohmann::json& Expectations() {
  static const auto* const expectations = ReadFile("torch_expectations.json");
  return *expectations;
}

const nlohmann::json& DerivationExpectations() {
  static const auto* const expectations =
      ReadFile("derivation_expectations.json");
  return *expectations;
}

const nlohmann::json& DeclaredExpectations() {
  static const auto* const expectations =
      ReadFile("declared_expectations.json");
  return *expectations;
}

TensorSpec SpecFromJson(const nlohmann::json& json) {
  const DType dtype = ParseDType(json["dtype"].get<std::string>()).value();
  return TensorSpec::Create(
             dtype,
             Shape::Create(json["shape"].get<std::vector<int64_t>>()).value())
      .value();
}

OwnedTensor TensorFromJson(const nlohmann::json& json) {
  return {SpecFromJson(json),
          absl::HexStringToBytes(json["hex"].get<std::string>())};
}

Initializer InitializerFromJson(const nlohmann::json& json) {
  const std::string kind = json["kind"];
  if (kind == "constant") return ConstantInit{json["value"]};
  if (kind == "normal") {
    NormalInit normal{json["mean"], json["std"]};
    if (json.contains("zero_row")) normal.zero_row = json["zero_row"];
    return normal;
  }
  if (kind == "uniform") return UniformInit{json["low"], json["high"]};
  if (kind == "fan_in_uniform") return FanInUniformInit{json["fan_in"]};
  if (kind == "xavier_uniform") return XavierUniformInit{json["gain"]};
  if (kind == "xavier_normal") return XavierNormalInit{json["gain"]};
  if (kind == "trunc_normal") {
    return TruncNormalInit{json["mean"], json["std"], json["a"], json["b"]};
  }
  if (kind == "orthogonal") return OrthogonalInit{json["gain"]};
  if (kind == "sparse") return SparseInit{json["sparsity"], json["std"]};
  if (kind == "eye") return EyeInit{};
  if (kind == "dirac") return DiracInit{json["groups"]};
  if (kind == "kaiming_normal") return KaimingFromJson<KaimingNormalInit>(json);
  return KaimingFromJson<KaimingUniformInit>(json);
}

Architecture SchemaFromExpectations() {
  Architecture schema;
  schema.name = "Everything";
  for (const nlohmann::json& json : Expectations()["schemas"]["entries"]) {
    schema.entries.push_back({json["key"], SpecFromJson(json),
                              EntryKind::kParameter,
                              InitializerFromJson(json["init"])});
  }
  return schema;
}

}  // namespace warmstart::backend::testing
