// Architecture: the schema of a model. Which parameters and buffers it has, in
// state_dict order, how each one is initialised and, where that is declared,
// the module that computes with them.

#ifndef WARMSTART_SERVER_MODEL_ARCHITECTURE_H_
#define WARMSTART_SERVER_MODEL_ARCHITECTURE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/model/initializer.h"
#include "server/model/manifest.h"
#include "server/model/module_declaration.h"
#include "server/model/resource_name.h"
#include "server/model/tensor_spec.h"

namespace warmstart {

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
  // Given by the store: 0 of a built-in one, and of one that is not stored yet.
  int64_t version = 0;
  std::vector<ArchitectureEntry> entries;  // in state_dict order
  // Every module of the model in traversal order, those without parameters
  // too: it decides the order in which PyTorch lists unexpected keys. May be
  // empty; then the modules are those that the keys imply.
  std::vector<ModuleVersion> modules;
  // The module that it is, where it was registered as one; then `entries` and
  // `modules` are what the module has.
  std::optional<ModuleDeclaration> module;
  // The checkpoint that keeps the values of its StoredInits, where it has any.
  std::optional<CheckpointName> initial_values;

  friend bool operator==(const Architecture&, const Architecture&) = default;
};

// What ArchitectureName::Parse takes: "NetB", or "mine/versions/2".
std::string VersionedName(const Architecture& architecture);

// INVALID_ARGUMENT, naming the field, when `architecture` cannot be used: a
// name that is not 1 to 128 of [A-Za-z0-9._-] starting with a letter or digit;
// no entries; a key that is empty, not UTF-8, or there twice; an initializer
// whose numbers make no sense (not finite, low above high, std below 0), or
// that needs a fan which the shape does not have (fewer than two dimensions),
// or that makes fractions for a type that has none.
absl::Status ValidateArchitecture(const Architecture& architecture);

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_ARCHITECTURE_H_
