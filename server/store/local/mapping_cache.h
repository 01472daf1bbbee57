// MappingCache: keeps the packs mapped that were read last, so that reading a
// tensor costs a look-up and not an open, an mmap and a munmap.

#ifndef WARMSTART_SERVER_STORE_LOCAL_MAPPING_CACHE_H_
#define WARMSTART_SERVER_STORE_LOCAL_MAPPING_CACHE_H_

#include <cstddef>
#include <list>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/base/file_system.h"

namespace warmstart::store {

// Thread-safe. Forgets the least recently used mapping where there are more
// than `capacity`; whoever holds one keeps it.
class MappingCache {
 public:
  MappingCache(FileSystem& file_system, size_t capacity)
      : file_system_(file_system), capacity_(capacity) {}

  absl::StatusOr<std::shared_ptr<MappedFile>> Get(const std::string& path)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Call after the file was removed: its space is free only when nobody maps it
  // any more.
  void Forget(const std::string& path) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Entry {
    std::string path;
    std::shared_ptr<MappedFile> file;
  };
  using Entries = std::list<Entry>;

  FileSystem& file_system_;
  const size_t capacity_;
  absl::Mutex mutex_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);  // most recently used first
  absl::flat_hash_map<std::string, Entries::iterator> by_path_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_LOCAL_MAPPING_CACHE_H_
