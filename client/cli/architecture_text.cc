#include "client/cli/architecture_text.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/json.h"
#include "client/cli/text.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

std::string CallText(absl::string_view function,
                     const std::vector<std::string>& arguments) {
  return arguments.empty()
             ? std::string(function)
             : absl::StrCat(function, "(", absl::StrJoin(arguments, ", "), ")");
}

std::string NormalText(const v1::Initializer::Normal& normal) {
  std::vector<std::string> arguments;
  if (normal.mean() != 0) {
    arguments.push_back(absl::StrCat("mean=", normal.mean()));
  }
  if (normal.has_std() && normal.std() != 1) {
    arguments.push_back(absl::StrCat("std=", normal.std()));
  }
  return CallText("normal", arguments);
}

std::string UniformText(const v1::Initializer::Uniform& uniform) {
  std::vector<std::string> arguments;
  if (uniform.low() != 0) {
    arguments.push_back(absl::StrCat("low=", uniform.low()));
  }
  if (uniform.has_high() && uniform.high() != 1) {
    arguments.push_back(absl::StrCat("high=", uniform.high()));
  }
  return CallText("uniform", arguments);
}

std::string KaimingText(const v1::Initializer::KaimingUniform& kaiming) {
  std::vector<std::string> arguments;
  if (kaiming.has_a() && kaiming.a() != std::sqrt(5.)) {
    arguments.push_back(absl::StrCat("a=", kaiming.a()));
  }
  if (!kaiming.mode().empty() && kaiming.mode() != "fan_in") {
    arguments.push_back(absl::StrCat("mode=", kaiming.mode()));
  }
  if (!kaiming.nonlinearity().empty() &&
      kaiming.nonlinearity() != "leaky_relu") {
    arguments.push_back(absl::StrCat("nonlinearity=", kaiming.nonlinearity()));
  }
  return CallText("kaiming_uniform", arguments);
}

absl::StatusOr<std::string> ReadText(const std::string& path) {
  std::ifstream file;
  if (path != "-") {
    file.open(path, std::ios::binary);
    if (!file) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
    }
  }
  std::istream& stream = path == "-" ? std::cin : file;
  std::string text{std::istreambuf_iterator<char>(stream),
                   std::istreambuf_iterator<char>()};
  if (stream.bad()) {
    return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
  }
  return text;
}

}  // namespace

std::string InitializerText(const v1::Initializer& initializer) {
  switch (initializer.kind_case()) {
    case v1::Initializer::kOnes:
      return "ones";
    case v1::Initializer::kConstant:
      return absl::StrCat("constant(", initializer.constant().value(), ")");
    case v1::Initializer::kNormal:
      return NormalText(initializer.normal());
    case v1::Initializer::kUniform:
      return UniformText(initializer.uniform());
    case v1::Initializer::kKaimingUniform:
      return KaimingText(initializer.kaiming_uniform());
    case v1::Initializer::kFanInUniform:
      return absl::StrCat(
          "fan_in_uniform(fan_in=", initializer.fan_in_uniform().fan_in(), ")");
    case v1::Initializer::kZeros:
    case v1::Initializer::KIND_NOT_SET:
      break;
  }
  return "zeros";
}

Table ArchitectureTable(const v1::Architecture& architecture) {
  Table table({{"KEY"}, {"KIND"}, {"SHAPE"}, {"DTYPE"}, {"INITIALIZER"}});
  for (const v1::ArchitectureEntry& entry : architecture.entries()) {
    table.AddRow({{entry.key()},
                  {entry.buffer() ? "buffer" : "parameter"},
                  {FormatShape(entry.shape())},
                  {entry.dtype().empty() ? "float32" : entry.dtype()},
                  {InitializerText(entry.initializer())}});
  }
  return table;
}

absl::StatusOr<v1::Architecture> ReadArchitectureFile(const std::string& path) {
  CLIENT_ASSIGN_OR_RETURN(const std::string text, ReadText(path));
  v1::Architecture architecture;
  if (absl::Status status = FromJson(text, architecture); !status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", status.message()));
  }
  return architecture;
}

}  // namespace warmstart::client
