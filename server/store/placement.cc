#include "server/store/placement.h"

#include <algorithm>

namespace warmstart::store {

absl::flat_hash_set<Digest> DigestsOf(const Manifest& manifest) {
  absl::flat_hash_set<Digest> digests;
  for (const ManifestEntry& entry : manifest.entries) {
    digests.insert(entry.digest);
  }
  for (const SharedStorage& storage : manifest.storages) {
    digests.insert(storage.digest);
  }
  return digests;
}

std::vector<Run> MergeIntoRuns(std::vector<PlacedBlob> blobs) {
  std::sort(blobs.begin(), blobs.end(),
            [](const PlacedBlob& a, const PlacedBlob& b) {
              return a.offset < b.offset;
            });
  std::vector<Run> runs;
  int64_t end = 0;  // of the last run
  for (const PlacedBlob& placed : blobs) {
    if (runs.empty() || placed.offset >= end) {
      runs.push_back(Run{.offset = placed.offset});
      end = placed.offset;
    }
    Run& run = runs.back();
    end = std::max(end, placed.offset + placed.blob.num_bytes);
    run.num_bytes = end - run.offset;
    run.blobs.push_back(placed);
  }
  return runs;
}

void PackedSize::Add(int64_t offset, int64_t num_bytes) {
  const int64_t end = offset + num_bytes;
  if (num_bytes_ == 0 || offset >= end_) {
    num_bytes_ = AlignInPack(num_bytes_) + num_bytes;
    end_ = end;
  } else if (end > end_) {
    num_bytes_ += end - end_;
    end_ = end;
  }
}

bool ShouldAdopt(int64_t file_bytes, absl::Span<const Run> new_runs) {
  int64_t new_bytes = 0;  // at most file_bytes, since runs do not overlap
  for (const Run& run : new_runs) new_bytes += run.num_bytes;
  return new_bytes >= file_bytes - new_bytes;
}

}  // namespace warmstart::store
