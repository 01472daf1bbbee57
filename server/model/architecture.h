// Architecture: the schema of a model. Which parameters and buffers it has, in
// state_dict order, and how each one is initialised. It says nothing about how
// the model computes.

#ifndef WARMSTART_SERVER_MODEL_ARCHITECTURE_H_
#define WARMSTART_SERVER_MODEL_ARCHITECTURE_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/model/manifest.h"
#include "server/model/tensor_spec.h"

namespace warmstart {

// How the values of a fresh tensor are made; each is the function of the same
// name in torch.nn.init.
struct ConstantInit {
  double value = 0;  // zeros is 0, ones is 1
  friend bool operator==(const ConstantInit&, const ConstantInit&) = default;
};
struct NormalInit {
  double mean = 0;
  double std = 1;
  friend bool operator==(const NormalInit&, const NormalInit&) = default;
};
struct UniformInit {
  double low = 0;
  double high = 1;
  friend bool operator==(const UniformInit&, const UniformInit&) = default;
};
// With the defaults, what torch.nn.Linear and Conv do for their weights.
struct KaimingUniformInit {
  enum class Mode { kFanIn, kFanOut };
  enum class Nonlinearity { kLeakyRelu, kRelu, kLinear, kTanh };

  double a = 2.23606797749978969;  // sqrt(5); used by leaky_relu alone
  Mode mode = Mode::kFanIn;
  Nonlinearity nonlinearity = Nonlinearity::kLeakyRelu;
  friend bool operator==(const KaimingUniformInit&,
                         const KaimingUniformInit&) = default;
};
// What torch.nn.Linear and Conv do for their biases: uniform in
// +-1/sqrt(fan_in) of the weight that the bias belongs to; zeros where fan_in
// is 0.
struct FanInUniformInit {
  int64_t fan_in = 0;
  friend bool operator==(const FanInUniformInit&,
                         const FanInUniformInit&) = default;
};

using Initializer = std::variant<ConstantInit, NormalInit, UniformInit,
                                 KaimingUniformInit, FanInUniformInit>;

enum class EntryKind { kParameter, kBuffer };

struct ArchitectureEntry {
  std::string key;
  TensorSpec spec;
  EntryKind kind = EntryKind::kParameter;
  Initializer initializer;
  // The key of an earlier entry, of the same spec and kind, that is the same
  // tensor under another name (tied weights); "" where there is none.
  std::string tied_to;

  friend bool operator==(const ArchitectureEntry&,
                         const ArchitectureEntry&) = default;
};

struct Architecture {
  // The last part of its resource name, and the class name in PyTorch's
  // messages: "NetB".
  std::string name;
  std::vector<ArchitectureEntry> entries;  // in state_dict order
  // Every module of the model in traversal order, those without parameters
  // too: it decides the order in which PyTorch lists unexpected keys. May be
  // empty; then the modules are those that the keys imply.
  std::vector<ModuleVersion> modules;

  friend bool operator==(const Architecture&, const Architecture&) = default;
};

// INVALID_ARGUMENT, naming the field, when `architecture` cannot be used: a
// name that is not 1 to 128 of [A-Za-z0-9._-] starting with a letter or digit;
// no entries; a key that is empty, not UTF-8, or there twice; an initializer
// whose numbers make no sense (not finite, low above high, std below 0), or
// that needs a fan which the shape does not have (fewer than two dimensions),
// or that makes fractions for a type that has none.
absl::Status ValidateArchitecture(const Architecture& architecture);

// What of that concerns an initializer: whether it can make a tensor of `spec`.
absl::Status ValidateInitializer(const Initializer& initializer,
                                 const TensorSpec& spec);

// "zeros", "constant", "normal", ...: for messages and reports.
absl::string_view InitializerName(const Initializer& initializer);

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_ARCHITECTURE_H_
