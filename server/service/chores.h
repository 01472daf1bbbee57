// The chores of a server, for its Housekeeper.

#ifndef WARMSTART_SERVER_SERVICE_CHORES_H_
#define WARMSTART_SERVER_SERVICE_CHORES_H_

#include <vector>

#include "absl/time/time.h"
#include "server/service/context.h"
#include "server/service/housekeeper.h"

namespace warmstart::service {

struct ChoreIntervals {
  // Deleting checkpoints and uploads that are to go.
  absl::Duration housekeeping = absl::Minutes(1);
  // Collecting garbage and scrubbing read and write much, and wait for an
  // interval before the first time, too; zero for never.
  absl::Duration garbage_collection = absl::Hours(24);
  absl::Duration scrub = absl::ZeroDuration();
};

// What the chores did is told to `context.log`, which outlives them, as all of
// it.
std::vector<Housekeeper::Chore> MakeChores(const Context& context,
                                           const ChoreIntervals& intervals);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_CHORES_H_
