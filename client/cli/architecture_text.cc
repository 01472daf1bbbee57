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
  if (normal.has_zero_row()) {
    arguments.push_back(absl::StrCat("zero_row=", normal.zero_row()));
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

// A normal initializer's `a` that is not set is 0, which is its default too.
bool HasA(const v1::Initializer::KaimingUniform& init) { return init.has_a(); }
bool HasA(const v1::Initializer::KaimingNormal&) { return true; }

// kaiming_uniform or kaiming_normal; what has its default is left out.
template <typename Kaiming>
std::string KaimingText(absl::string_view function, const Kaiming& kaiming,
                        double default_a) {
  std::vector<std::string> arguments;
  if (kaiming.a() != default_a && HasA(kaiming)) {
    arguments.push_back(absl::StrCat("a=", kaiming.a()));
  }
  if (!kaiming.mode().empty() && kaiming.mode() != "fan_in") {
    arguments.push_back(absl::StrCat("mode=", kaiming.mode()));
  }
  if (!kaiming.nonlinearity().empty() &&
      kaiming.nonlinearity() != "leaky_relu") {
    arguments.push_back(absl::StrCat("nonlinearity=", kaiming.nonlinearity()));
  }
  return CallText(function, arguments);
}

// One that has a gain alone.
template <typename Init>
std::string GainText(absl::string_view function, const Init& init) {
  std::vector<std::string> arguments;
  if (init.has_gain() && init.gain() != 1) {
    arguments.push_back(absl::StrCat("gain=", init.gain()));
  }
  return CallText(function, arguments);
}

std::string TruncNormalText(const v1::Initializer::TruncNormal& normal) {
  std::vector<std::string> arguments;
  if (normal.mean() != 0) {
    arguments.push_back(absl::StrCat("mean=", normal.mean()));
  }
  if (normal.has_std() && normal.std() != 1) {
    arguments.push_back(absl::StrCat("std=", normal.std()));
  }
  if (normal.has_a() && normal.a() != -2) {
    arguments.push_back(absl::StrCat("a=", normal.a()));
  }
  if (normal.has_b() && normal.b() != 2) {
    arguments.push_back(absl::StrCat("b=", normal.b()));
  }
  return CallText("trunc_normal", arguments);
}

std::string SparseText(const v1::Initializer::Sparse& sparse) {
  std::vector<std::string> arguments = {
      absl::StrCat("sparsity=", sparse.sparsity())};
  if (sparse.has_std() && sparse.std() != 0.01) {
    arguments.push_back(absl::StrCat("std=", sparse.std()));
  }
  return CallText("sparse", arguments);
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
      return KaimingText("kaiming_uniform", initializer.kaiming_uniform(),
                         std::sqrt(5.));
    case v1::Initializer::kKaimingNormal:
      return KaimingText("kaiming_normal", initializer.kaiming_normal(), 0);
    case v1::Initializer::kXavierUniform:
      return GainText("xavier_uniform", initializer.xavier_uniform());
    case v1::Initializer::kXavierNormal:
      return GainText("xavier_normal", initializer.xavier_normal());
    case v1::Initializer::kTruncNormal:
      return TruncNormalText(initializer.trunc_normal());
    case v1::Initializer::kOrthogonal:
      return GainText("orthogonal", initializer.orthogonal());
    case v1::Initializer::kSparse:
      return SparseText(initializer.sparse());
    case v1::Initializer::kEye:
      return "eye";
    case v1::Initializer::kDirac:
      return initializer.dirac().has_groups() &&
                     initializer.dirac().groups() != 1
                 ? absl::StrCat("dirac(groups=", initializer.dirac().groups(),
                                ")")
                 : "dirac";
    case v1::Initializer::kStored:
      return initializer.stored().key().empty()
                 ? "stored"
                 : absl::StrCat("stored(", initializer.stored().key(), ")");
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
