#include "server/service/architecture_checks.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace warmstart::service {
namespace {

// Schemas are read and written as a whole, in memory. The largest mixtures of
// experts have some hundred thousand keys.
constexpr size_t kMaxEntries = size_t{1} << 18;
constexpr size_t kMaxKeyBytes = size_t{16} << 10;
constexpr size_t kMaxDeclarations = size_t{1} << 16;

absl::Status CheckCount(absl::string_view field, size_t count, size_t most) {
  if (count <= most) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("there are ", count, ", at most ",
                                          most, " are allowed"));
}

size_t NumDeclarations(const ModuleDeclaration& module) {
  size_t number = 1;
  for (const ModuleDeclaration& child : module.children) {
    number += NumDeclarations(child);
  }
  return number;
}

absl::string_view KindName(EntryKind kind) {
  return kind == EntryKind::kBuffer ? "a buffer" : "a parameter";
}

// What an entry has that the module's does not; "" where they are the same.
std::string DifferenceOf(const ArchitectureEntry& given,
                         const ArchitectureEntry& made) {
  if (given.key != made.key) {
    return absl::StrCat("is '", given.key, "', in the module '", made.key, "'");
  }
  if (given.spec != made.spec) {
    return absl::StrCat("'", given.key, "' is ", given.spec.ToString(),
                        ", in the module ", made.spec.ToString());
  }
  if (given.kind != made.kind) {
    return absl::StrCat("'", given.key, "' is ", KindName(given.kind),
                        ", in the module ", KindName(made.kind));
  }
  if (given.tied_to != made.tied_to) {
    return absl::StrCat("'", given.key, "' is tied to '", given.tied_to,
                        "', in the module to '", made.tied_to, "'");
  }
  if (given.initializer != made.initializer) {
    return absl::StrCat("'", given.key, "' is initialized by ",
                        InitializerName(given.initializer),
                        ", in the module by ",
                        InitializerName(made.initializer),
                        given.initializer.index() == made.initializer.index()
                            ? " with other arguments"
                            : "");
  }
  return "";
}

absl::Status CheckEntries(const std::vector<ArchitectureEntry>& given,
                          const std::vector<ArchitectureEntry>& made) {
  for (size_t i = 0; i < std::min(given.size(), made.size()); ++i) {
    const std::string difference = DifferenceOf(given[i], made[i]);
    if (difference.empty()) continue;
    return InvalidField(absl::StrCat("architecture.entries[", i, "]"),
                        difference);
  }
  if (given.size() == made.size()) return absl::OkStatus();
  return InvalidField("architecture.entries",
                      absl::StrCat("there are ", given.size(),
                                   ", the module has ", made.size()));
}

}  // namespace

absl::StatusOr<ArchitectureName> ParseArchitectureName(
    absl::string_view name, absl::string_view field) {
  if (name.empty()) return InvalidField(field, "is required");
  absl::StatusOr<ArchitectureName> parsed = ArchitectureName::Parse(name);
  if (!parsed.ok()) return InvalidField(field, parsed.status().message());
  return parsed;
}

absl::Status CheckArchitectureSize(const Architecture& architecture) {
  RETURN_IF_ERROR(CheckCount("architecture.entries",
                             architecture.entries.size(), kMaxEntries));
  RETURN_IF_ERROR(CheckCount("architecture.modules",
                             architecture.modules.size(), kMaxEntries));
  if (architecture.module.has_value()) {
    RETURN_IF_ERROR(CheckCount("architecture.module's modules",
                               NumDeclarations(*architecture.module),
                               kMaxDeclarations));
  }
  for (size_t i = 0; i < architecture.entries.size(); ++i) {
    if (architecture.entries[i].key.size() > kMaxKeyBytes) {
      return InvalidField(
          absl::StrCat("architecture.entries[", i, "].key"),
          absl::StrCat("is longer than ", kMaxKeyBytes, " bytes"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckAgreement(const Architecture& given,
                            const Architecture& made) {
  if (!given.entries.empty()) {
    RETURN_IF_ERROR(CheckEntries(given.entries, made.entries));
  }
  if (given.modules.empty() || given.modules == made.modules) {
    return absl::OkStatus();
  }
  return InvalidField("architecture.modules",
                      "are not those that the module has; leave them out");
}

}  // namespace warmstart::service
