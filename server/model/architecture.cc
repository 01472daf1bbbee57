#include "server/model/architecture.h"

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/model/resource_name.h"
#include "server/model/utf8.h"

namespace warmstart {
namespace {

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

std::string VersionedName(const Architecture& architecture) {
  return architecture.version == 0
             ? architecture.name
             : absl::StrCat(architecture.name, "/versions/",
                            architecture.version);
}

absl::Status ValidateArchitecture(const Architecture& architecture) {
  ASSIGN_OR_RETURN(const ArchitectureName name,
                   ArchitectureName::Parse(architecture.name));
  if (name.id() != architecture.name) {
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

}  // namespace warmstart
