#include "server/torch/declared/blueprint.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/torch/edge.h"

namespace warmstart::backend::declared {
namespace {

// Bounds what a declaration of a few bytes can make of itself (num_layers).
constexpr size_t kMostEntries = size_t{1} << 20;

std::string Join(absl::string_view path, absl::string_view name) {
  return path.empty() ? std::string(name) : absl::StrCat(path, ".", name);
}

absl::StatusOr<TensorSpec> MakeSpec(DType dtype, Sizes sizes) {
  absl::StatusOr<Shape> shape = Shape::Create(std::move(sizes));
  if (!shape.ok()) return shape.status();
  return TensorSpec::Create(dtype, *std::move(shape));
}

}  // namespace

Scope::Scope(Blueprint& blueprint, std::string path, std::string place,
             int64_t version)
    : blueprint_(&blueprint), path_(std::move(path)), place_(std::move(place)) {
  blueprint_->modules.push_back({path_, version});
}

Scope Scope::Child(absl::string_view name, int64_t version, std::string place) {
  return Scope(*blueprint_, Join(path_, name),
               place.empty() ? place_ : std::move(place), version);
}

StateIndex Scope::Declare(absl::string_view name, DType dtype, Sizes sizes,
                          EntryKind kind) {
  absl::StatusOr<TensorSpec> spec = MakeSpec(dtype, std::move(sizes));
  const auto refuse = [&](const absl::Status& problem) {
    if (blueprint_->status.ok()) {
      blueprint_->status = Annotate(problem, absl::StrCat(place_, ": ", name));
    }
    // Stands for it until the declaration is refused.
    spec = TensorSpec::Create(dtype, Shape());
  };
  if (!spec.ok()) refuse(spec.status());
  int64_t& total = blueprint_->num_bytes;
  if (spec->num_bytes() > std::numeric_limits<int64_t>::max() - total) {
    refuse(absl::InvalidArgumentError("the model's bytes exceed 64 bits"));
  }
  if (blueprint_->entries.size() >= kMostEntries) {
    refuse(absl::InvalidArgumentError(
        absl::StrCat("the model has more than ", kMostEntries, " tensors")));
  }
  if (status().ok()) total += spec->num_bytes();
  blueprint_->entries.push_back(
      {Join(path_, name), *std::move(spec), kind, ConstantInit{}});
  return StateIndex(blueprint_->entries.size() - 1);
}

StateIndex Scope::Undrawn(absl::string_view name, DType dtype, Sizes sizes) {
  return Declare(name, dtype, std::move(sizes), EntryKind::kParameter);
}

StateIndex Scope::Parameter(absl::string_view name, DType dtype, Sizes sizes,
                            const Initializer& initializer) {
  const StateIndex index = Undrawn(name, dtype, std::move(sizes));
  Draw(index, initializer);
  return index;
}

StateIndex Scope::Buffer(absl::string_view name, DType dtype, Sizes sizes,
                         const Initializer& initializer) {
  const StateIndex index =
      Declare(name, dtype, std::move(sizes), EntryKind::kBuffer);
  Draw(index, initializer);
  return index;
}

void Scope::Draw(StateIndex index, const Initializer& initializer) {
  blueprint_->entries[index.index()].initializer = initializer;
  blueprint_->draws.push_back({{index.index()}, initializer});
}

}  // namespace warmstart::backend::declared
