// Makes a synthetic store (synthetic_store.h):
//   build/bin/fill_store DATA_DIR CHECKPOINTS
// A million checkpoints take some minutes and 6 GB of disk.

#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "tests/bench/synthetic_store.h"

int main(int argc, char** argv) {
  warmstart::bench::SyntheticStore plan;
  if (argc != 3 || !absl::SimpleAtoi(argv[2], &plan.num_checkpoints) ||
      plan.num_checkpoints < 0) {
    std::fprintf(stderr, "Usage: fill_store DATA_DIR CHECKPOINTS\n");
    return 2;
  }
  plan.data_dir = argv[1];
  const absl::Status status =
      warmstart::bench::MakeSyntheticStore(plan, [](int64_t done) {
        std::fprintf(stderr, "fill_store: %ld checkpoints\n",
                     static_cast<long>(done));
      });
  if (status.ok()) return 0;
  std::fprintf(stderr, "fill_store: %s\n",
               std::string(status.message()).c_str());
  return 1;
}
