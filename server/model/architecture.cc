#include "server/model/architecture.h"

#include <cmath>
#include <type_traits>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/model/resource_name.h"
#include "server/model/utf8.h"

namespace warmstart {
namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

bool IsFloatingPoint(DType dtype) {
  switch (dtype) {
    case DType::kFloat16:
    case DType::kBFloat16:
    case DType::kFloat32:
    case DType::kFloat64:
    case DType::kComplex32:
    case DType::kComplex64:
    case DType::kComplex128:
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E5M2:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2FNUZ:
    case DType::kFloat8E8M0FNU:
      return true;
    default:
      return false;
  }
}

// What is wrong with the numbers of an initializer; "" where nothing is.
std::string InitializerProblem(const Initializer& initializer,
                               const TensorSpec& spec) {
  return std::visit(
      Overloaded{
          [](const ConstantInit&) -> std::string { return ""; },
          [](const NormalInit& init) -> std::string {
            if (!std::isfinite(init.mean) || !std::isfinite(init.std)) {
              return "normal needs a finite mean and std";
            }
            return init.std < 0 ? "normal needs a std of at least 0" : "";
          },
          [](const UniformInit& init) -> std::string {
            if (!std::isfinite(init.low) || !std::isfinite(init.high)) {
              return "uniform needs a finite low and high";
            }
            return init.low > init.high ? "uniform needs low <= high" : "";
          },
          [&](const KaimingUniformInit& init) -> std::string {
            if (!std::isfinite(init.a)) {
              return "kaiming_uniform needs a finite a";
            }
            // torch.nn.init: fan in and fan out can not be computed for tensors
            // with fewer than two dimensions.
            return spec.shape().rank() < 2
                       ? "kaiming_uniform needs at least two dimensions"
                       : "";
          },
          [](const FanInUniformInit& init) -> std::string {
            return init.fan_in < 0 ? "fan_in_uniform needs fan_in >= 0" : "";
          },
      },
      initializer);
}

absl::Status CheckEntry(const ArchitectureEntry& entry, size_t index) {
  const auto refuse = [&](absl::string_view problem) {
    return absl::InvalidArgumentError(absl::StrCat(
        "entries[", index, "]",
        IsUtf8(entry.key) ? absl::StrCat(" '", entry.key, "'") : std::string(),
        ": ", problem));
  };
  if (entry.key.empty()) return refuse("the key is empty");
  if (!IsUtf8(entry.key)) return refuse("the key is not UTF-8");
  const absl::Status initializer =
      ValidateInitializer(entry.initializer, entry.spec);
  return initializer.ok() ? initializer : refuse(initializer.message());
}

absl::Status CheckTie(
    const ArchitectureEntry& entry, size_t index,
    const absl::flat_hash_map<absl::string_view, const ArchitectureEntry*>&
        earlier) {
  if (entry.tied_to.empty()) return absl::OkStatus();
  const auto found = earlier.find(entry.tied_to);
  absl::string_view problem;
  if (found == earlier.end()) {
    problem = "is no earlier entry";
  } else if (!found->second->tied_to.empty()) {
    problem = "is tied itself; name the entry that it is tied to";
  } else if (found->second->spec != entry.spec ||
             found->second->kind != entry.kind) {
    problem = "is of another dtype, shape or kind";
  } else {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("entries[", index, "] '",
                                                 entry.key, "': tied_to: '",
                                                 entry.tied_to, "' ", problem));
}

}  // namespace

absl::Status ValidateInitializer(const Initializer& initializer,
                                 const TensorSpec& spec) {
  const std::string problem = InitializerProblem(initializer, spec);
  if (!problem.empty()) return absl::InvalidArgumentError(problem);
  if (!std::holds_alternative<ConstantInit>(initializer) &&
      !IsFloatingPoint(spec.dtype())) {
    return absl::InvalidArgumentError(absl::StrCat(
        InitializerName(initializer), " makes fractions, which ",
        DTypeName(spec.dtype()), " cannot hold; use zeros, ones or constant"));
  }
  return absl::OkStatus();
}

absl::Status ValidateArchitecture(const Architecture& architecture) {
  ASSIGN_OR_RETURN(const std::string name,
                   ParseArchitectureName(architecture.name));
  if (name != architecture.name) {
    return absl::InvalidArgumentError(
        absl::StrCat("name: '", architecture.name, "' has a prefix too many"));
  }
  if (architecture.entries.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "entries: architecture '", architecture.name,
        "' has none; give its parameters and buffers in state_dict order"));
  }
  absl::flat_hash_map<absl::string_view, const ArchitectureEntry*> entry_of;
  int64_t total_bytes = 0;
  for (size_t i = 0; i < architecture.entries.size(); ++i) {
    const ArchitectureEntry& entry = architecture.entries[i];
    RETURN_IF_ERROR(CheckEntry(entry, i));
    RETURN_IF_ERROR(CheckTie(entry, i, entry_of));
    if (!entry_of.emplace(entry.key, &entry).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          "entries[", i, "]: key '", entry.key, "' is there twice"));
    }
    if (__builtin_add_overflow(total_bytes, entry.spec.num_bytes(),
                               &total_bytes)) {
      return absl::InvalidArgumentError(
          absl::StrCat("entries[", i, "]: the sizes overflow"));
    }
  }
  absl::flat_hash_set<absl::string_view> paths;
  for (size_t i = 0; i < architecture.modules.size(); ++i) {
    const std::string& path = architecture.modules[i].path;
    if (!IsUtf8(path)) {
      return absl::InvalidArgumentError(
          absl::StrCat("modules[", i, "]: the path is not UTF-8"));
    }
    if (!paths.insert(path).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("modules[", i, "]: path '", path, "' is there twice"));
    }
  }
  return absl::OkStatus();
}

absl::string_view InitializerName(const Initializer& initializer) {
  return std::visit(
      Overloaded{
          [](const ConstantInit& init) -> absl::string_view {
            if (init.value == 0) return "zeros";
            return init.value == 1 ? "ones" : "constant";
          },
          [](const NormalInit&) -> absl::string_view { return "normal"; },
          [](const UniformInit&) -> absl::string_view { return "uniform"; },
          [](const KaimingUniformInit&) -> absl::string_view {
            return "kaiming_uniform";
          },
          [](const FanInUniformInit&) -> absl::string_view {
            return "fan_in_uniform";
          },
      },
      initializer);
}

}  // namespace warmstart
