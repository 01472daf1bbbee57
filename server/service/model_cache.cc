#include "server/service/model_cache.h"

#include <limits>

namespace warmstart::service {

ModelCache::Lookup ModelCache::Find(const ArchitectureName& name) const {
  absl::MutexLock lock(&mutex_);
  Lookup lookup;
  lookup.revision = revision_;
  int64_t version = name.version();
  if (version == 0) {
    const auto newest = newest_.find(name.id());
    if (newest == newest_.end()) return lookup;
    version = newest->second;
  }
  const auto found = models_.find({name.id(), version});
  if (found != models_.end()) lookup.model = found->second;
  return lookup;
}

void ModelCache::Remember(const ArchitectureName& name, const ModelPtr& model,
                          uint64_t revision) {
  const Key key(name.id(), model->schema().version);
  const size_t entries = model->schema().entries.size();
  absl::MutexLock lock(&mutex_);
  if (revision != revision_ || entries > max_entries_) return;
  if (!models_.contains(key)) {
    if (num_entries_ + entries > max_entries_) {
      models_.clear();
      newest_.clear();
      num_entries_ = 0;
    }
    models_[key] = model;
    num_entries_ += entries;
  }
  if (name.version() == 0) newest_[key.first] = key.second;
}

void ModelCache::Forget(const ArchitectureName& name) {
  const bool all = name.version() == 0;
  absl::MutexLock lock(&mutex_);
  ++revision_;
  newest_.erase(name.id());
  const auto begin = models_.lower_bound({name.id(), name.version()});
  const auto end = models_.upper_bound(
      {name.id(), all ? std::numeric_limits<int64_t>::max() : name.version()});
  for (auto model = begin; model != end; ++model) {
    num_entries_ -= model->second->schema().entries.size();
  }
  models_.erase(begin, end);
}

void ModelCache::ForgetNewest(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  ++revision_;
  newest_.erase(id);
}

}  // namespace warmstart::service
