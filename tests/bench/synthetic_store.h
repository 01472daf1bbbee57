// A synthetic store: a data directory as years of use would leave it, made in
// minutes. It is written by the store's own code, but for the syncs, many
// checkpoints in each transaction.
//
// Checkpoints come in families, as those of people do: the first of ten is an
// upload with a pack of its own, the others are warm starts from it that share
// its body and have a new head, which the catalog keeps. All of them have
//   request_id    as clients send it
//   label run     "run-{i}", which no other has; i counts from 0
//   label stage   "dev", or "prod" for the last of each family
//   label team    "team-{i / 10 % 20}"
//   architecture  of warm starts, "Synthetic{i % 100}", version 1
//   alias         of the last of each family, "models/{i / 1000}/{i}"
// The packs are sparse: of each tensor, only some bytes are not zero.

#ifndef WARMSTART_TESTS_BENCH_SYNTHETIC_STORE_H_
#define WARMSTART_TESTS_BENCH_SYNTHETIC_STORE_H_

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace warmstart::bench {

struct SyntheticStore {
  static constexpr int kFamily = 10;
  static constexpr int kTensors = 10;  // of each checkpoint
  static constexpr int kTeams = 20;
  static constexpr int kArchitectures = 100;

  std::string data_dir;  // made; must not hold a store
  int64_t num_checkpoints = 0;
};

// Calls `on_progress` with the number of checkpoints that are there, now and
// then. What a failure leaves is no store, and for the caller to remove.
absl::Status MakeSyntheticStore(
    const SyntheticStore& plan,
    absl::FunctionRef<void(int64_t num_checkpoints)> on_progress);

}  // namespace warmstart::bench

#endif  // WARMSTART_TESTS_BENCH_SYNTHETIC_STORE_H_
