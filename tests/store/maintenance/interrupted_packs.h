// InterruptedPacks: a pack store into whose calls a test puts what is to happen
// at that moment.

#ifndef WARMSTART_TESTS_STORE_MAINTENANCE_INTERRUPTED_PACKS_H_
#define WARMSTART_TESTS_STORE_MAINTENANCE_INTERRUPTED_PACKS_H_

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "server/store/pack_store.h"

namespace warmstart::store {

class InterruptedPacks final : public PackStore {
 public:
  explicit InterruptedPacks(std::unique_ptr<PackStore> real)
      : real_(std::move(real)) {}

  // Each is called once, and then forgotten. What they call is not interrupted.
  std::function<void()> before_read;
  std::function<void()> before_scan;
  // When packs are durable, and the catalog does not know them yet.
  std::function<void()> after_flush;

  absl::StatusOr<std::unique_ptr<StagedPack>> Stage() override {
    return real_->Stage();
  }
  absl::Status Flush() override {
    absl::Status status = real_->Flush();
    Interrupt(after_flush);
    return status;
  }
  absl::StatusOr<BlobData> Read(const PackId& id, int64_t offset,
                                int64_t num_bytes) override {
    Interrupt(before_read);
    return real_->Read(id, offset, num_bytes);
  }
  absl::StatusOr<std::unique_ptr<PackScanner>> OpenForScan(
      const PackId& id) override {
    Interrupt(before_scan);
    return real_->OpenForScan(id);
  }
  absl::StatusOr<int64_t> SizeOf(const PackId& id) override {
    return real_->SizeOf(id);
  }
  std::unique_ptr<PackHold> Hold() override { return real_->Hold(); }
  std::unique_ptr<PackLease> Expect(const PackId& id) override {
    return real_->Expect(id);
  }
  absl::StatusOr<std::vector<PackFile>> ListSettled() override {
    return real_->ListSettled();
  }
  absl::Status Remove(const PackId& id) override { return real_->Remove(id); }
  absl::Status Sweep(const absl::flat_hash_set<PackId>& known) override {
    return real_->Sweep(known);
  }

 private:
  static void Interrupt(std::function<void()>& hook) {
    if (const auto call = std::exchange(hook, nullptr)) call();
  }

  const std::unique_ptr<PackStore> real_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_TESTS_STORE_MAINTENANCE_INTERRUPTED_PACKS_H_
