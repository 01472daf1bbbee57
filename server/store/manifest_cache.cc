#include "server/store/manifest_cache.h"

#include <cstdint>
#include <iterator>
#include <string>
#include <utility>

#include "absl/types/span.h"

namespace warmstart::store {
namespace {

size_t MemoryOf(const std::string& text) {
  return sizeof(std::string) + text.capacity();
}

size_t MemoryOf(absl::Span<const int64_t> numbers) {
  return numbers.size() * sizeof(int64_t);
}

size_t MemoryOf(const ManifestEntry& entry) {
  size_t num_bytes = sizeof(entry) + entry.key.capacity() +
                     MemoryOf(entry.spec.shape().sizes());
  if (entry.view.has_value()) num_bytes += MemoryOf(entry.view->strides);
  return num_bytes;
}

}  // namespace

size_t MemoryOf(const Manifest& manifest) {
  size_t num_bytes = sizeof(manifest) + manifest.metadata_json.capacity() +
                     manifest.storages.capacity() * sizeof(SharedStorage);
  for (const ManifestEntry& entry : manifest.entries) {
    num_bytes += MemoryOf(entry);
  }
  for (const std::string& subtree : manifest.subtrees) {
    num_bytes += MemoryOf(subtree);
  }
  for (const ModuleVersion& module : manifest.module_versions) {
    num_bytes += sizeof(module) + module.path.capacity();
  }
  return num_bytes;
}

std::shared_ptr<const Manifest> ManifestCache::Find(
    const CheckpointName& name) {
  absl::MutexLock lock(&mutex_);
  const auto found = index_.find(name.id());
  if (found == index_.end()) return nullptr;
  items_.splice(items_.begin(), items_, found->second);
  return found->second->manifest;
}

ManifestCache::Ticket ManifestCache::BeginRead() const {
  absl::MutexLock lock(&mutex_);
  return Ticket{num_forgotten_};
}

void ManifestCache::Add(const CheckpointName& name,
                        std::shared_ptr<const Manifest> manifest,
                        Ticket ticket) {
  const size_t num_bytes = MemoryOf(*manifest);
  absl::MutexLock lock(&mutex_);
  if (ticket != Ticket{num_forgotten_} || num_bytes > max_bytes_ ||
      index_.contains(name.id())) {
    return;
  }
  items_.push_front({name, std::move(manifest), num_bytes});
  index_.emplace(items_.front().name.id(), items_.begin());
  num_bytes_ += num_bytes;
  while (num_bytes_ > max_bytes_) Remove(std::prev(items_.end()));
}

void ManifestCache::Forget(const CheckpointName& name) {
  absl::MutexLock lock(&mutex_);
  ++num_forgotten_;
  const auto found = index_.find(name.id());
  if (found != index_.end()) Remove(found->second);
}

void ManifestCache::Remove(Items::iterator item) {
  num_bytes_ -= item->num_bytes;
  index_.erase(item->name.id());
  items_.erase(item);
}

}  // namespace warmstart::store
