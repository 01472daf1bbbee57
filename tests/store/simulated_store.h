// SimulatedStore: a store, its catalog included, on a SimulatedDisk, and all
// that one can say of what is in it.

#ifndef WARMSTART_TESTS_STORE_SIMULATED_STORE_H_
#define WARMSTART_TESTS_STORE_SIMULATED_STORE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/store.h"
#include "tests/store/sqlite/simulated_vfs.h"
#include "tests/testing/simulated_disk.h"

namespace warmstart::store {

class SimulatedStore {
 public:
  // On the simulated disk.
  static constexpr char kDataDir[] = "/data";

  explicit SimulatedStore(std::unique_ptr<testing::SimulatedDisk> disk);

  absl::Status Open();
  // As the process's end does, in good order or, on a disk without power, not.
  void Close() { store_.reset(); }

  testing::SimulatedDisk& disk() { return *disk_; }
  bool is_open() const { return store_ != nullptr; }
  // Only while it is open.
  Store& store() { return *store_; }

  // Damages a tensor behind the store's back, in its pack or in the catalog.
  absl::Status Spoil(const std::string& bytes);

  // Everything that the store holds, but for names that were drawn at random,
  // in words; two stores that hold the same are described the same. The bytes
  // of every tensor are read: those that the store says are lost are described
  // so, and DATA_LOSS where it hands out others than their digest says.
  absl::StatusOr<std::string> Describe();

  // Whether the disk holds what the catalog names and nothing else, and whether
  // the store goes on: saves, reads and deletes.
  absl::Status CheckSound();
  absl::Status CheckWorks();

 private:
  const std::unique_ptr<testing::SimulatedDisk> disk_;
  const SimulatedVfs vfs_;
  std::unique_ptr<Store> store_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_TESTS_STORE_SIMULATED_STORE_H_
