#include "server/service/resident_models.h"

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace warmstart::service {
namespace {

// What tells a model from the others of its device.
std::string IndexOf(const ResidentModels::Key& key) {
  return absl::StrCat(key.checkpoint.id(), " ", key.architecture.ToString());
}

}  // namespace

// All but the key is guarded by the mutex. An entry that is in no list any more
// (its load failed, or it was dropped) lives on with those who use it.
struct ResidentModels::Entry {
  const Key key;
  int64_t num_bytes = 0;  // as it is expected, until it is loaded
  int64_t num_uses = 0;   // whoever loads it, and whoever waits, counts
  bool is_loading = true;
  bool is_listed = true;
  absl::StatusOr<Model> model = absl::UnknownError("not loaded yet");
};

ResidentModels::Lease::Lease(ResidentModels& models,
                             std::shared_ptr<Entry> entry, bool was_resident)
    : models_(&models),
      entry_(std::move(entry)),
      model_(*entry_->model),
      was_resident_(was_resident) {}

ResidentModels::Lease::Lease(Lease&& other) noexcept = default;

ResidentModels::Lease::~Lease() {
  if (entry_ == nullptr) return;  // moved away
  model_.reset();
  models_->Release(entry_);
}

ResidentModels::PerDevice& ResidentModels::At(const backend::Device& device) {
  const auto [found, is_new] = devices_.try_emplace(
      absl::StrCat(static_cast<int>(device.kind), ":", device.index));
  if (is_new) found->second.limit_bytes = limit_of_(device);
  return found->second;
}

ResidentModels::EntryPtr ResidentModels::Find(const Key& key) {
  PerDevice& device = At(key.device);
  const auto found = device.index.find(IndexOf(key));
  if (found == device.index.end()) return nullptr;
  device.entries.splice(device.entries.begin(), device.entries, found->second);
  return device.entries.front();
}

ResidentModels::EntryPtr ResidentModels::Add(const Key& key,
                                             int64_t num_bytes) {
  PerDevice& device = At(key.device);
  ++device.num_misses;
  device.num_bytes += num_bytes;
  device.entries.push_front(
      std::make_shared<Entry>(Entry{.key = key, .num_bytes = num_bytes}));
  device.entries.front()->num_uses = 1;
  device.index[IndexOf(key)] = device.entries.begin();
  return device.entries.front();
}

absl::StatusOr<ResidentModels::Lease> ResidentModels::Join(EntryPtr entry) {
  const bool was_resident = !entry->is_loading;
  PerDevice& device = At(entry->key.device);
  ++(was_resident ? device.num_hits : device.num_misses);
  ++entry->num_uses;
  mutex_.Await(absl::Condition(
      +[](Entry* awaited) { return !awaited->is_loading; }, entry.get()));
  if (entry->model.ok()) return Lease(*this, std::move(entry), was_resident);
  --entry->num_uses;
  return entry->model.status();
}

absl::StatusOr<ResidentModels::Lease> ResidentModels::Get(
    const Key& key, int64_t num_bytes,
    absl::FunctionRef<absl::StatusOr<Model>()> load) {
  EntryPtr entry;
  Evicted evicted;
  {
    absl::MutexLock lock(&mutex_);
    entry = Find(key);
    if (entry != nullptr) return Join(std::move(entry));
    entry = Add(key, num_bytes);
    PerDevice& device = At(key.device);
    evicted = Evict(device, device.limit_bytes);
  }
  evicted.clear();
  absl::StatusOr<Model> model =
      absl::ResourceExhaustedError("the load of the model was given up");
  {
    // However the load ends, by an exception too, nobody waits for ever.
    const absl::Cleanup settle = [&] { Settle(entry, model); };
    model = LoadOrMakeRoom(key.device, load);
  }
  if (!model.ok()) return model.status();
  return Lease(*this, std::move(entry), /*was_resident=*/false);
}

absl::StatusOr<ResidentModels::Model> ResidentModels::LoadOrMakeRoom(
    const backend::Device& device,
    absl::FunctionRef<absl::StatusOr<Model>()> load) {
  absl::StatusOr<Model> model = load();
  if (!absl::IsResourceExhausted(model.status())) return model;
  Evicted evicted;
  {
    absl::MutexLock lock(&mutex_);
    evicted = Evict(At(device), 0);
  }
  if (evicted.empty()) return model;
  evicted.clear();
  return load();
}

void ResidentModels::Settle(const EntryPtr& entry,
                            const absl::StatusOr<Model>& model) {
  absl::MutexLock lock(&mutex_);
  entry->model = model;
  entry->is_loading = false;
  if (!model.ok()) {
    --entry->num_uses;
    if (entry->is_listed) Remove(*entry);
    return;
  }
  if (!entry->is_listed) return;
  At(entry->key.device).num_bytes += (*model)->num_bytes() - entry->num_bytes;
  entry->num_bytes = (*model)->num_bytes();
}

void ResidentModels::Remove(Entry& entry) {
  PerDevice& device = At(entry.key.device);
  Unlist(device, device.index.at(IndexOf(entry.key)));
}

std::list<ResidentModels::EntryPtr>::iterator ResidentModels::Unlist(
    PerDevice& device, std::list<EntryPtr>::iterator position) {
  Entry& entry = **position;
  device.num_bytes -= entry.num_bytes;
  entry.is_listed = false;
  device.index.erase(IndexOf(entry.key));
  return device.entries.erase(position);
}

ResidentModels::Evicted ResidentModels::Evict(PerDevice& device,
                                              int64_t most_bytes) {
  Evicted evicted;
  auto next = device.entries.end();
  while (device.num_bytes > most_bytes && next != device.entries.begin()) {
    --next;
    const EntryPtr entry = *next;
    if (entry->num_uses > 0) continue;
    next = Unlist(device, next);
    ++device.num_evictions;
    evicted.push_back(entry);
  }
  return evicted;
}

void ResidentModels::Release(const EntryPtr& entry) {
  Evicted evicted;  // freed after the lock, which is declared below it
  absl::MutexLock lock(&mutex_);
  --entry->num_uses;
  PerDevice& device = At(entry->key.device);
  evicted = Evict(device, device.limit_bytes);
}

void ResidentModels::DropIf(absl::FunctionRef<bool(const Key&)> matches) {
  Evicted dropped;
  absl::MutexLock lock(&mutex_);
  for (auto& [name, device] : devices_) {
    for (const EntryPtr& entry : device.entries) {
      if (matches(entry->key)) dropped.push_back(entry);
    }
  }
  for (const EntryPtr& entry : dropped) Remove(*entry);
}

void ResidentModels::DropCheckpoint(const CheckpointName& name) {
  DropIf([&](const Key& key) { return key.checkpoint == name; });
}

void ResidentModels::DropArchitecture(const ArchitectureName& name) {
  DropIf([&](const Key& key) {
    return key.architecture.id() == name.id() &&
           (name.version() == 0 ||
            key.architecture.version() == name.version());
  });
}

ResidentModels::DeviceState ResidentModels::StateOf(
    const backend::Device& device) {
  absl::MutexLock lock(&mutex_);
  const PerDevice& from = At(device);
  DeviceState state{.limit_bytes = from.limit_bytes,
                    .num_bytes = from.num_bytes,
                    .num_hits = from.num_hits,
                    .num_misses = from.num_misses,
                    .num_evictions = from.num_evictions};
  for (const EntryPtr& entry : from.entries) {
    state.models.push_back({entry->key, entry->num_bytes, entry->num_uses});
  }
  return state;
}

}  // namespace warmstart::service
