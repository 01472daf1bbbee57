#include "server/planner/initializer_set.h"

#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace warmstart::planner {
namespace {

std::string Field(size_t i) { return absl::StrCat("initializers[", i, "]"); }

}  // namespace

absl::StatusOr<InitializerSet> InitializerSet::Create(
    const PlanRequest& request) {
  InitializerSet set;
  for (size_t i = 0; i < request.initializers.size(); ++i) {
    const InitializerOverride& given = request.initializers[i];
    ASSIGN_OR_RETURN(
        GlobSet keys,
        GlobSet::Create(absl::StrCat(Field(i), ".keys"), {&given.keys, 1}));
    if (std::holds_alternative<StoredInit>(given.initializer)) {
      return InvalidField(absl::StrCat(Field(i), ".initializer.stored"),
                          "stored values belong to an architecture; a warm "
                          "start takes values from a source");
    }
    if (const absl::Status valid = ValidateInitializer(given.initializer);
        !valid.ok()) {
      return InvalidField(Field(i), valid.message());
    }
    set.overrides_.push_back({std::move(keys), &given});
  }
  return set;
}

absl::StatusOr<std::optional<Initializer>> InitializerSet::For(
    const ArchitectureEntry& entry) const {
  for (size_t i = 0; i < overrides_.size(); ++i) {
    if (!overrides_[i].keys.Matches(entry.key)) continue;
    const Initializer& initializer = overrides_[i].given->initializer;
    if (const absl::Status valid = ValidateInitializer(initializer, entry.spec);
        !valid.ok()) {
      return InvalidField(Field(i),
                          absl::StrCat("'", entry.key, "': ", valid.message()));
    }
    return initializer;
  }
  return std::nullopt;
}

}  // namespace warmstart::planner
