#include "server/service/initial_values.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/service/handles.h"

namespace warmstart::service {
namespace {

constexpr char kField[] = "architecture.initial_values";

using Tensors = absl::flat_hash_map<absl::string_view, const ManifestEntry*>;

bool IsStored(const ArchitectureEntry& entry) {
  return std::holds_alternative<StoredInit>(entry.initializer);
}

absl::Status Resolve(const CheckpointName& checkpoint, const Tensors& tensors,
                     size_t index, ArchitectureEntry& entry) {
  StoredInit& stored = std::get<StoredInit>(entry.initializer);
  if (stored.key.empty()) stored.key = entry.key;
  const auto refuse = [&](absl::string_view problem) {
    return InvalidField(
        absl::StrCat("architecture.entries[", index, "].initializer"),
        absl::StrCat("'", entry.key, "' begins with '", stored.key, "' of ",
                     checkpoint.ToString(), ", ", problem));
  };
  const auto found = tensors.find(stored.key);
  if (found == tensors.end()) return refuse("which has no such tensor");
  const ManifestEntry& tensor = *found->second;
  if (tensor.spec != entry.spec) {
    return refuse(absl::StrCat("which is ", tensor.spec.ToString(), " and not ",
                               entry.spec.ToString()));
  }
  stored.digest = tensor.digest;
  return absl::OkStatus();
}

}  // namespace

absl::Status ResolveInitialValues(store::Store& store,
                                  const std::string& handle,
                                  Architecture& architecture) {
  architecture.initial_values.reset();
  const auto first = std::find_if(architecture.entries.begin(),
                                  architecture.entries.end(), IsStored);
  const bool has_stored = first != architecture.entries.end();
  if (handle.empty()) {
    if (!has_stored) return absl::OkStatus();
    return InvalidField(
        kField, absl::StrCat("is required: '", first->key,
                             "' is initialized with values that are stored"));
  }
  if (!has_stored) {
    return InvalidField(
        kField,
        "is set, but no entry is initialized with values that are "
        "stored");
  }
  ASSIGN_OR_RETURN(const store::Checkpoint checkpoint,
                   FindCheckpoint(store, kField, handle));
  ASSIGN_OR_RETURN(const auto manifest, store.GetManifest(checkpoint.name));
  Tensors tensors;
  for (const ManifestEntry& entry : manifest->entries) {
    tensors.emplace(entry.key, &entry);
  }
  for (size_t i = 0; i < architecture.entries.size(); ++i) {
    if (!IsStored(architecture.entries[i])) continue;
    RETURN_IF_ERROR(
        Resolve(checkpoint.name, tensors, i, architecture.entries[i]));
  }
  architecture.initial_values = checkpoint.name;
  return absl::OkStatus();
}

}  // namespace warmstart::service
