// What looking after a store finds: damage, and what contradicts itself.

#ifndef WARMSTART_SERVER_STORE_CARE_H_
#define WARMSTART_SERVER_STORE_CARE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/model/digest.h"
#include "server/model/resource_name.h"

namespace warmstart::store {

// A tensor of a checkpoint.
struct TensorUse {
  CheckpointName checkpoint;
  std::string key;
};

// A blob in quarantine: its bytes were found to be damaged or gone, and nobody
// gets them any more.
struct DamagedBlob {
  Digest digest;
  int64_t num_bytes = 0;
  absl::Time damage_time;       // when that was found first
  std::string pack;             // the file in packs/; "" for the catalog
  int64_t offset = 0;           // in the pack
  int64_t num_uses = 0;         // tensors of checkpoints that need it
  std::vector<TensorUse> uses;  // the first of them, newest checkpoint first
};

struct Damage {
  int64_t num_blobs = 0;
  int64_t num_bytes = 0;
  std::vector<DamagedBlob> blobs;  // the first of them, by time
};

// How much of the damage is told.
struct DamageLimits {
  int blobs = 1000;
  int uses = 100;  // of each blob
};

// How far a scrub is. Both totals are of its beginning: what is saved and
// deleted meanwhile makes it end a little below or above.
struct ScrubProgress {
  int64_t blobs_read = 0;
  int64_t num_blobs = 0;
  int64_t bytes_read = 0;
  int64_t num_bytes = 0;
};

// Called often; a status that is not OK ends the scrub.
using ScrubReporter = absl::FunctionRef<absl::Status(const ScrubProgress&)>;

struct ScrubResult {
  int64_t blobs_read = 0;
  int64_t bytes_read = 0;
  int64_t num_found = 0;    // put into quarantine by this scrub
  int64_t num_cleared = 0;  // taken out: their bytes are there again
  Damage damage;            // all that is in quarantine now
};

struct CheckResult {
  int64_t num_checkpoints = 0;
  int64_t num_blobs = 0;
  int64_t num_packs = 0;
  int64_t num_findings = 0;
  std::vector<std::string> findings;  // the first of them, in words
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_CARE_H_
