// Account: what somebody has in a store, as it should be, beside the store
// itself. Each step does something at random to both, and compares them.

#ifndef WARMSTART_TESTS_STORE_MODEL_ACCOUNT_H_
#define WARMSTART_TESTS_STORE_MODEL_ACCOUNT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/model/resource_name.h"
#include "server/store/store.h"
#include "tests/store/model/tensor_pool.h"

namespace warmstart::store {

// For one thread. Several may work on one store: nobody but its owner changes
// what is in an account, and all of them draw the same tensors.
class Account {
 public:
  // The pool outlives the account. `name` is in those of its aliases.
  Account(const TensorPool& pool, std::string name, uint32_t seed)
      : pool_(pool), name_(std::move(name)), random_(seed) {}

  // Saves, derives, deletes, names or reads a checkpoint. An error says how the
  // store differs from the account.
  absl::Status Step(Store& store);

  // Compares all of it.
  absl::Status Check(Store& store);

  size_t num_checkpoints() const { return checkpoints_.size(); }
  // Whether some checkpoint has a tensor of the pool.
  bool Has(size_t tensor) const;
  std::mt19937& random() { return random_; }

 private:
  using Tensors = std::vector<size_t>;  // of the pool, in the manifest's order
  using Checkpoints = std::map<CheckpointName, Tensors>;

  // Bytes that somebody holds while the store goes on.
  struct Held {
    size_t tensor;
    BlobData data;
  };

  absl::Status Save(Store& store);
  absl::Status Derive(Store& store);
  absl::Status Delete(Store& store);
  absl::Status Name(Store& store);
  absl::Status Unname(Store& store);
  absl::Status Read(Store& store);
  absl::Status Hold(Store& store);

  Checkpoints::iterator Any();
  AliasName AnyAlias();
  Manifest ManifestOf(const Tensors& tensors) const;
  // Stages `tensors` as a file, views inside of their storages or beside them.
  absl::Status StageFile(Draft& draft, const Tensors& tensors);
  // The same in scratch space, each for itself.
  absl::Status StageScratch(Draft& draft, const Tensors& tensors);
  absl::Status Commit(Draft& draft, const Tensors& tensors);
  absl::Status CheckTensors(Store& store, const CheckpointName& name,
                            const Tensors& tensors);

  const TensorPool& pool_;
  const std::string name_;
  std::mt19937 random_;
  Checkpoints checkpoints_;
  std::map<std::string, CheckpointName> aliases_;  // by "aliases/{alias}"
  std::vector<Held> held_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_TESTS_STORE_MODEL_ACCOUNT_H_
