#include "server/service/shared_storages.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"

namespace warmstart::service {
namespace {

int32_t AddStorage(const SharedStorage& storage, Manifest& result) {
  result.storages.push_back(storage);
  return static_cast<int32_t>(result.storages.size() - 1);
}

// An entry of the result that is a view of a source's storage.
struct Viewer {
  size_t entry;
  const StorageView* view;
};

// The tensor of a source that entry i is, in every respect; null where it is
// not.
const SourceOp* SameTensor(const planner::Assignment& assignment,
                           const ManifestEntry& entry) {
  if (assignment.value == nullptr || assignment.value->spec != entry.spec) {
    return nullptr;
  }
  return AsSourceTensor(*assignment.value);
}

void KeepSourceStorages(absl::Span<const planner::Assignment> assignments,
                        absl::Span<const Manifest* const> sources,
                        Manifest& result) {
  // By source and storage; in order, so that the result is the same each time.
  std::map<std::pair<int32_t, int32_t>, std::vector<Viewer>> viewers;
  absl::flat_hash_set<std::pair<int32_t, int64_t>> taken;
  for (size_t i = 0; i < result.entries.size(); ++i) {
    const SourceOp* source = SameTensor(assignments[i], result.entries[i]);
    if (source == nullptr) continue;
    const ManifestEntry& tensor =
        sources[source->source]->entries[source->entry];
    if (tensor.view.has_value() &&
        taken.emplace(source->source, source->entry).second) {
      viewers[{source->source, tensor.view->storage}].push_back(
          {i, &*tensor.view});
    }
  }
  for (const auto& [storage, users] : viewers) {
    if (users.size() < 2) continue;
    const int32_t number =
        AddStorage(sources[storage.first]->storages[storage.second], result);
    for (const Viewer& user : users) {
      result.entries[user.entry].view =
          StorageView{number, user.view->offset, user.view->strides};
    }
  }
}

void Tie(ManifestEntry& original, ManifestEntry& copy, Manifest& result) {
  if (!original.view.has_value() && !copy.view.has_value()) {
    original.view = StorageView{
        AddStorage({original.digest, original.spec.num_bytes()}, result), 0,
        original.spec.shape().ContiguousStrides()};
  }
  if (original.view.has_value()) {
    copy.view = original.view;
  } else {
    original.view = copy.view;
  }
}

void TieEntries(const Architecture& target, Manifest& result) {
  absl::flat_hash_map<absl::string_view, size_t> index;
  for (size_t i = 0; i < target.entries.size(); ++i) {
    ManifestEntry& entry = result.entries[i];
    const auto tied = index.find(target.entries[i].tied_to);
    if (tied != index.end()) {
      ManifestEntry& original = result.entries[tied->second];
      if (original.spec == entry.spec && original.digest == entry.digest) {
        Tie(original, entry, result);
      }
    }
    index.emplace(target.entries[i].key, i);
  }
}

}  // namespace

void ShareStorages(const Architecture& target,
                   absl::Span<const planner::Assignment> assignments,
                   absl::Span<const Manifest* const> sources,
                   Manifest& result) {
  KeepSourceStorages(assignments, sources, result);
  TieEntries(target, result);
}

}  // namespace warmstart::service
