#include "server/store/local/deferred_removals.h"

namespace warmstart::store {

class DeferredRemovals::HoldImpl final : public PackHold {
 public:
  explicit HoldImpl(DeferredRemovals& removals) : removals_(removals) {}
  ~HoldImpl() override { removals_.Release(); }
  HoldImpl(const HoldImpl&) = delete;
  HoldImpl& operator=(const HoldImpl&) = delete;

 private:
  DeferredRemovals& removals_;
};

std::unique_ptr<PackHold> DeferredRemovals::Hold() {
  {
    absl::MutexLock lock(&mutex_);
    ++num_holds_;
  }
  return std::make_unique<HoldImpl>(*this);
}

absl::Status DeferredRemovals::Remove(const PackId& id) {
  return PutOff(id) ? absl::OkStatus() : remove_(id);
}

std::vector<PackId> DeferredRemovals::Waiting() const {
  absl::MutexLock lock(&mutex_);
  return waiting_;
}

bool DeferredRemovals::PutOff(const PackId& id) {
  absl::MutexLock lock(&mutex_);
  if (num_holds_ == 0) return false;
  waiting_.push_back(id);
  return true;
}

void DeferredRemovals::Release() {
  std::vector<PackId> waiting;
  {
    absl::MutexLock lock(&mutex_);
    if (--num_holds_ == 0) waiting.swap(waiting_);
  }
  // A hold that begins now is for packs that somebody still wants.
  for (const PackId& id : waiting) remove_(id).IgnoreError();
}

}  // namespace warmstart::store
