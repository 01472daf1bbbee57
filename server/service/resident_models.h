// ResidentModels: the models that stay on their devices between calls, so that
// the next call loads nothing.
//
// Each device has a limit for the bytes that its models take together. The
// models that were not used for the longest time leave first; one that is in
// use never does, so that models in use may take more than the limit.

#ifndef WARMSTART_SERVER_SERVICE_RESIDENT_MODELS_H_
#define WARMSTART_SERVER_SERVICE_RESIDENT_MODELS_H_

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/model/resource_name.h"
#include "server/torch/device.h"
#include "server/torch/model_architecture.h"

namespace warmstart::service {

// Thread-safe. It must outlive its leases.
class ResidentModels {
 private:
  struct Entry;

 public:
  using Model = std::shared_ptr<const backend::RunnableModel>;
  using LimitOf = std::function<int64_t(const backend::Device&)>;

  struct Key {
    CheckpointName checkpoint;
    ArchitectureName architecture;  // with its version
    backend::Device device;

    friend bool operator==(const Key&, const Key&) = default;
  };

  // A model in use.
  class Lease {
   public:
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    const backend::RunnableModel& model() const { return *model_; }
    // Whether it was on the device when it was asked for.
    bool was_resident() const { return was_resident_; }

   private:
    friend class ResidentModels;
    Lease(ResidentModels& models, std::shared_ptr<Entry> entry,
          bool was_resident);

    ResidentModels* models_;
    std::shared_ptr<Entry> entry_;
    Model model_;
    bool was_resident_;
  };

  // As the API's messages ResidentModels and ResidentModel.
  struct Resident {
    Key key;
    int64_t num_bytes = 0;
    int64_t num_uses = 0;
  };
  struct DeviceState {
    int64_t limit_bytes = 0;
    int64_t num_bytes = 0;
    int64_t num_hits = 0;
    int64_t num_misses = 0;
    int64_t num_evictions = 0;
    std::vector<Resident> models;  // the one used last first
  };

  // `limit_of` is asked once for each device; 0 keeps no model that is not in
  // use.
  explicit ResidentModels(LimitOf limit_of) : limit_of_(std::move(limit_of)) {}
  ResidentModels(const ResidentModels&) = delete;
  ResidentModels& operator=(const ResidentModels&) = delete;

  // The model of `key`. Where it is not resident, room is made for `num_bytes`
  // and `load` is called, by one of the callers that ask for it; the others
  // wait, and a failure is theirs, too. Where the device's memory does not
  // suffice, all that is idle there leaves, and `load` is called once more.
  absl::StatusOr<Lease> Get(const Key& key, int64_t num_bytes,
                            absl::FunctionRef<absl::StatusOr<Model>()> load)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Forgets models whose checkpoint or architecture was deleted; those in use
  // end with their use. Without a version, all versions are meant.
  void DropCheckpoint(const CheckpointName& name) ABSL_LOCKS_EXCLUDED(mutex_);
  void DropArchitecture(const ArchitectureName& name)
      ABSL_LOCKS_EXCLUDED(mutex_);

  DeviceState StateOf(const backend::Device& device)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using EntryPtr = std::shared_ptr<Entry>;
  // What left, to be freed when the lock is not held any more: it may take a
  // while, and other calls wait for the lock.
  using Evicted = std::vector<EntryPtr>;

  struct PerDevice {
    int64_t limit_bytes = 0;
    int64_t num_bytes = 0;
    int64_t num_hits = 0;
    int64_t num_misses = 0;
    int64_t num_evictions = 0;
    std::list<EntryPtr> entries;  // the one used last first
    // The same, by IndexOf(key).
    absl::flat_hash_map<std::string, std::list<EntryPtr>::iterator> index;
  };

  PerDevice& At(const backend::Device& device)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Null where there is none; else it is the one used last, from now on.
  EntryPtr Find(const Key& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  EntryPtr Add(const Key& key, int64_t num_bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Lease> Join(EntryPtr entry)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Model> LoadOrMakeRoom(
      const backend::Device& device,
      absl::FunctionRef<absl::StatusOr<Model>()> load)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Settle(const EntryPtr& entry, const absl::StatusOr<Model>& model)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Removes what is idle, the longest first, until at most `most_bytes` are
  // there.
  Evicted Evict(PerDevice& device, int64_t most_bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remove(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes an entry out of the list; returns the one that came after it.
  std::list<EntryPtr>::iterator Unlist(PerDevice& device,
                                       std::list<EntryPtr>::iterator position)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropIf(absl::FunctionRef<bool(const Key&)> matches)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Release(const EntryPtr& entry) ABSL_LOCKS_EXCLUDED(mutex_);

  const LimitOf limit_of_;
  absl::Mutex mutex_;
  std::map<std::string, PerDevice> devices_ ABSL_GUARDED_BY(mutex_);
};

// What the models on a device may take where nobody says otherwise: a quarter
// of the host's memory, half of a GPU's.
int64_t DefaultResidentBytes(const backend::Device& device);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_RESIDENT_MODELS_H_
