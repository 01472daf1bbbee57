// LoadClient: a client that saves models, starts others from them and looks at
// what came of it, with a connection of its own.

#ifndef WARMSTART_TESTS_BENCH_LOAD_CLIENT_H_
#define WARMSTART_TESTS_BENCH_LOAD_CLIENT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "warmstart/v1/checkpoints.grpc.pb.h"
#include "warmstart/v1/model_initializer.grpc.pb.h"

namespace warmstart::bench {

enum class Step { kSave, kWarmStart, kGet, kList, kDownload, kDelete };

constexpr Step kAllSteps[] = {Step::kSave, Step::kWarmStart, Step::kGet,
                              Step::kList, Step::kDownload,  Step::kDelete};

// "save", "warm-start", ...
absl::string_view StepName(Step step);
std::optional<Step> FindStep(absl::string_view name);

// For one thread at a time.
class LoadClient {
 public:
  // `seed` decides the values of the tensors. A call that takes longer than
  // `timeout` is an error.
  LoadClient(const std::string& server, uint64_t seed, absl::Duration timeout);

  // One request; of kDelete, one for each checkpoint that Save and WarmStart
  // made and that is not deleted yet. All but kSave take what the save before
  // them made, and all but kSave and kWarmStart what the warm start did. An
  // answer that is not right is INTERNAL.
  absl::Status Run(Step step);

 private:
  absl::Status Save();
  absl::Status WarmStart();
  absl::Status Get();
  absl::Status List();
  absl::Status Download();
  absl::Status Delete();
  absl::Status DeleteOne(std::string& name);

  const absl::Duration timeout_;
  uint64_t state_;       // of the generator of values
  std::string tensors_;  // those that were saved last, one after another
  std::string saved_;    // its checkpoint; "" for none
  std::string started_;
  std::unique_ptr<v1::ModelInitializer::Stub> model_initializer_;
  std::unique_ptr<v1::Checkpoints::Stub> checkpoints_;
};

}  // namespace warmstart::bench

#endif  // WARMSTART_TESTS_BENCH_LOAD_CLIENT_H_
