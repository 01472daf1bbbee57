#include "server/planner/adapters/widen.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/planner/value_types.h"

namespace warmstart::planner {
namespace {

// How many units a layer has, and is to have.
struct Units {
  int64_t old_count = 0;
  int64_t new_count = 0;
  friend bool operator==(const Units&, const Units&) = default;
};

std::string UnitsText(const Units& units) {
  return absl::StrCat(units.old_count, " to ", units.new_count);
}

// New unit i copies unit i modulo the old number.
std::vector<int64_t> Copied(const Units& units) {
  std::vector<int64_t> indices(units.new_count);
  for (int64_t i = 0; i < units.new_count; ++i) {
    indices[i] = i % units.old_count;
  }
  return indices;
}

// One over the number of copies that there are of each new unit's original.
std::vector<double> Shares(const Units& units) {
  std::vector<double> shares(units.new_count);
  for (int64_t i = 0; i < units.new_count; ++i) {
    const int64_t original = i % units.old_count;
    const int64_t copies =
        (units.new_count - original - 1) / units.old_count + 1;
    shares[i] = 1.0 / static_cast<double>(copies);
  }
  return shares;
}

class Widener {
 public:
  Widener(const PlanRequest& request, const TargetIndex& target,
          Supplies* supplies)
      : request_(request),
        target_(target),
        supplies_(supplies),
        words_(request.target->entries.size()) {}

  absl::Status Apply(size_t index) {
    const Widening& widening = request_.widenings[index];
    const std::string field = absl::StrCat("widenings[", index, "]");
    std::optional<Units> units;
    for (const Widening::Slices& slices : widening.outputs) {
      RETURN_IF_ERROR(CheckSlices(field, slices, &units));
    }
    for (const Widening::Slices& slices : widening.inputs) {
      RETURN_IF_ERROR(CheckSlices(field, slices, &units));
    }
    if (!units.has_value()) return InvalidField(field, "names no slices");
    if (units->old_count == units->new_count) return absl::OkStatus();
    for (const Widening::Slices& slices : widening.outputs) {
      RETURN_IF_ERROR(CopyUnits(field, slices, *units));
    }
    for (const Widening::Slices& slices : widening.inputs) {
      RETURN_IF_ERROR(CopyUnits(field, slices, *units));
      RETURN_IF_ERROR(ShareInputs(slices, *units));
    }
    return absl::OkStatus();
  }

  std::vector<std::string> TakeWords() { return std::move(words_); }

 private:
  absl::Status CheckSlices(const std::string& field,
                           const Widening::Slices& slices,
                           std::optional<Units>* units) const {
    const auto refuse = [&](absl::string_view problem) {
      return InvalidField(field, absl::StrCat("'", slices.key, "' ", problem));
    };
    const auto found = target_.find(slices.key);
    if (found == target_.end()) return refuse("is no key of the target");
    const DerivationPtr& value = supplies_->entries[found->second].value;
    if (value == nullptr) return refuse("is supplied by no source");
    if (!IsFractional(value->spec.dtype())) {
      return refuse("is of a type that is not computed with");
    }
    const Shape& from = value->spec.shape();
    const Shape& to = request_.target->entries[found->second].spec.shape();
    if (slices.dim < 0 || slices.dim >= from.rank() ||
        slices.dim >= to.rank()) {
      return refuse(absl::StrCat("has no dimension ", slices.dim));
    }
    const Units own{from.sizes()[slices.dim], to.sizes()[slices.dim]};
    if (own.old_count < 1 || own.new_count < own.old_count) {
      return refuse(absl::StrCat("would go from ", UnitsText(own),
                                 " units, and is not wider"));
    }
    if (units->has_value() && **units != own) {
      return refuse(absl::StrCat("would go from ", UnitsText(own),
                                 " units, and the slices before it from ",
                                 UnitsText(**units)));
    }
    *units = own;
    return absl::OkStatus();
  }

  absl::Status CopyUnits(const std::string& field,
                         const Widening::Slices& slices, const Units& units) {
    const int64_t entry = target_.at(slices.key);
    DerivationPtr& value = supplies_->entries[entry].value;
    if (value->spec.shape().sizes()[slices.dim] != units.old_count) {
      return InvalidField(
          field, absl::StrCat("dimension ", slices.dim, " of '", slices.key,
                              "' is widened twice"));
    }
    ASSIGN_OR_RETURN(value,
                     Derive(SelectOp{slices.dim, Copied(units)}, {value}));
    absl::StrAppend(&words_[entry], words_[entry].empty() ? "" : "; ",
                    "widened dimension ", slices.dim, " from ",
                    UnitsText(units));
    return absl::OkStatus();
  }

  absl::Status ShareInputs(const Widening::Slices& slices, const Units& units) {
    DerivationPtr& value = supplies_->entries[target_.at(slices.key)].value;
    ASSIGN_OR_RETURN(value,
                     Derive(ScaleAlongOp{slices.dim, Shares(units)}, {value}));
    return absl::OkStatus();
  }

  const PlanRequest& request_;
  const TargetIndex& target_;
  Supplies* const supplies_;
  std::vector<std::string> words_;
};

}  // namespace

absl::StatusOr<std::vector<std::string>> Widen(const PlanRequest& request,
                                               const TargetIndex& target,
                                               Supplies* supplies) {
  Widener widener(request, target, supplies);
  for (size_t i = 0; i < request.widenings.size(); ++i) {
    RETURN_IF_ERROR(widener.Apply(i));
  }
  return widener.TakeWords();
}

}  // namespace warmstart::planner
