// SimulatedVfs: while it lives, SQLite keeps its databases on a
// SimulatedDisk, and every read, write, sync, truncation and removal that it
// makes is a step of that disk.

#ifndef WARMSTART_TESTS_STORE_SQLITE_SIMULATED_VFS_H_
#define WARMSTART_TESTS_STORE_SQLITE_SIMULATED_VFS_H_

#include <memory>

#include "tests/testing/simulated_disk.h"

namespace warmstart::store {

// Concerns connections that are opened while it lives, by any thread; they are
// closed before it ends. One may be made while another lives, and then ends
// first or last: each new one is the one that counts.
class SimulatedVfs {
 public:
  explicit SimulatedVfs(testing::SimulatedDisk& disk);
  ~SimulatedVfs();
  SimulatedVfs(const SimulatedVfs&) = delete;
  SimulatedVfs& operator=(const SimulatedVfs&) = delete;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_TESTS_STORE_SQLITE_SIMULATED_VFS_H_
