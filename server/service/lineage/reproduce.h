// Reproduce: makes a checkpoint again, and those that it was made from, and
// compares the digests key by key.
//
// A warm start is planned and loaded once more, from its sources as they are
// stored; a fresh model is drawn once more; of an upload every byte is read.
// Nothing is stored. Since sources are compared too, agreement of all is
// agreement with the uploads.

#ifndef WARMSTART_SERVER_SERVICE_LINEAGE_REPRODUCE_H_
#define WARMSTART_SERVER_SERVICE_LINEAGE_REPRODUCE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/resource_name.h"
#include "server/service/context.h"
#include "server/service/origin.h"
#include "server/service/warm_start_request.h"

namespace warmstart::service {

enum class ReproductionVerdict {
  kAgrees,   // every key has the same dtype, shape and digest
  kDiffers,  // some key has not
  kCannot,   // it could not be made again
};

// What became of one checkpoint.
struct Reproduction {
  CheckpointName checkpoint;
  ReproductionVerdict verdict = ReproductionVerdict::kCannot;
  // Why it differs or could not be made, and what else a person should know; ""
  // where there is nothing to say.
  std::string reason;
  std::optional<Origin> origin;  // none where it was deleted or cannot be read
  int64_t num_keys = 0;          // that were compared
  int64_t num_differing = 0;
  // The first kMaxDifferingKeys of them.
  std::vector<std::string> differing_keys;
};
inline constexpr size_t kMaxDifferingKeys = 100;

struct ReproduceOptions {
  bool direct = false;  // that checkpoint alone
  size_t max_checkpoints = 10'000;
};

// What Reproduce needs of its caller. Borrowed for the call.
struct ReproduceCaller {
  // The request that WarmStartRequest::recorded tells. What the record does not
  // have may be anything.
  absl::FunctionRef<absl::StatusOr<WarmStartRequest>(absl::string_view)> read;
  // Takes what became of each checkpoint: the handle's, then its sources, then
  // theirs. A failure ends the work, and is returned.
  absl::FunctionRef<absl::Status(const Reproduction&)> take;
  // Whether nobody waits any more; asked from several threads.
  absl::FunctionRef<bool()> cancelled;
};

// `handle` is "checkpoints/{id}" or "aliases/{alias}".
//   INVALID_ARGUMENT    a handle that is none; the field is "name"
//   NOT_FOUND           no such checkpoint or alias
//   CANCELLED           the caller said so
//   RESOURCE_EXHAUSTED  it was made from more checkpoints than max_checkpoints
// What goes wrong with one checkpoint is its Reproduction's reason.
absl::Status Reproduce(const Context& context, absl::string_view handle,
                       const ReproduceOptions& options,
                       const ReproduceCaller& caller);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_LINEAGE_REPRODUCE_H_
