#include "server/store/local/mapping_cache.h"

#include <utility>

#include "server/base/status_macros.h"

namespace warmstart::store {

absl::StatusOr<std::shared_ptr<MappedFile>> MappingCache::Get(
    const std::string& path) {
  absl::MutexLock lock(&mutex_);
  if (auto found = by_path_.find(path); found != by_path_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->file;
  }
  // Mapped under the lock: a mapping that was made before the file was removed
  // must not be put here after Forget.
  ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> file, file_system_.Map(path));
  entries_.push_front(Entry{path, file});
  by_path_[path] = entries_.begin();
  if (entries_.size() > capacity_) {
    by_path_.erase(entries_.back().path);
    entries_.pop_back();
  }
  return file;
}

void MappingCache::Forget(const std::string& path) {
  absl::MutexLock lock(&mutex_);
  const auto found = by_path_.find(path);
  if (found == by_path_.end()) return;
  entries_.erase(found->second);
  by_path_.erase(found);
}

}  // namespace warmstart::store
