// Placement: which bytes of a staged file are worth keeping, and whether the
// file is kept as it stands or they are copied out of it, into a pack or into
// the catalog. Pure computation.

#ifndef WARMSTART_SERVER_STORE_PLACEMENT_H_
#define WARMSTART_SERVER_STORE_PLACEMENT_H_

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/types/span.h"
#include "server/model/digest.h"
#include "server/model/manifest.h"
#include "server/store/catalog.h"

namespace warmstart::store {

// Blobs of a commit that have no more bytes than this, together, go into the
// catalog and not into a pack: its rows are synced anyway, and a file costs two
// syncs more. With more than this, the catalog would be mostly tensor bytes,
// which its write-ahead log writes twice.
inline constexpr int64_t kMaxSmallBytes = int64_t{128} << 10;

// Where a run may begin in a pack into which blobs are copied: at multiples of
// 64, as torch.save aligns storages.
constexpr int64_t AlignInPack(int64_t offset) {
  return (offset + 63) / 64 * 64;
}

// All digests that `manifest` names.
absl::flat_hash_set<Digest> DigestsOf(const Manifest& manifest);

// A part of a file that blobs cover without a gap, each overlapping another (a
// shared storage and the tensors in it). Copied as one, they still share it.
struct Run {
  int64_t offset = 0;
  int64_t num_bytes = 0;
  std::vector<PlacedBlob> blobs;  // by offset
};

// The runs of `blobs`, by offset. They do not overlap; those that only touch
// are not joined, since that would cost the second one its alignment.
std::vector<Run> MergeIntoRuns(std::vector<PlacedBlob> blobs);

// The size of a fresh pack into which blobs are copied, found without keeping
// their runs.
class PackedSize {
 public:
  // By offset, ascending.
  void Add(int64_t offset, int64_t num_bytes);

  int64_t num_bytes() const { return num_bytes_; }

 private:
  int64_t num_bytes_ = 0;
  int64_t end_ = 0;  // of the last run, where it comes from
};

// Whether a file of `file_bytes` is adopted as a pack: when at least half of it
// is in `new_runs`. Else copying these costs less than keeping the rest.
bool ShouldAdopt(int64_t file_bytes, absl::Span<const Run> new_runs);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_PLACEMENT_H_
