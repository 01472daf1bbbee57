// Everything that a store does to its disk, one operation each, for the tests
// that break off or disturb each at every step.

#ifndef WARMSTART_TESTS_STORE_STORE_OPERATIONS_H_
#define WARMSTART_TESTS_STORE_STORE_OPERATIONS_H_

#include <memory>
#include <ostream>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/store/simulated_store.h"
#include "tests/testing/simulated_disk.h"

namespace warmstart::store {

struct StoreOperation {
  const char* name;
  // On an open store of PreparedDisk. OK means: the caller was answered.
  absl::Status (*run)(SimulatedStore& simulated);
  // Fewer steps that change the disk are not to be believed.
  int least_changes;
};

inline std::ostream& operator<<(std::ostream& out,
                                const StoreOperation& operation) {
  return out << operation.name;
}

const std::vector<StoreOperation>& StoreOperations();

// How the server before ended: with its log copied and removed, or with what
// was committed still in it.
enum class Before { kStopped, kKilled };

// A disk with a store on it that holds what the operations work on.
absl::StatusOr<std::unique_ptr<testing::SimulatedDisk>> PreparedDisk(
    Before before);

}  // namespace warmstart::store

#endif  // WARMSTART_TESTS_STORE_STORE_OPERATIONS_H_
