// Collecting: giving back to the disk what deletions leave behind. A pack goes
// with its last blob at once; what is left are the dead bytes of packs that
// still have one, and packs that are many and small. What is told to a
// collection, and what it tells.

#ifndef WARMSTART_SERVER_STORE_MAINTENANCE_COLLECTION_H_
#define WARMSTART_SERVER_STORE_MAINTENANCE_COLLECTION_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace warmstart::store {

struct CollectOptions {
  // Tells what would go, and changes nothing.
  bool dry_run = false;
  // A pack is rewritten where less than this share of its bytes is live.
  double min_live_share = 0.5;
  // Packs with fewer live bytes are merged, where there are several.
  int64_t merge_below_bytes = int64_t{4} << 20;
  // At most so much is written, that which frees most first.
  int64_t max_written_bytes = std::numeric_limits<int64_t>::max();
  // Asked between packs; may be empty. True ends the collection with CANCELLED;
  // what is done until then stays done.
  std::function<bool()> is_cancelled;
};

// What becomes of a pack. Those that are live and large enough stay as they
// are, and are not told of.
enum class PackFate {
  kRewritten,   // its live blobs are in a fresh pack
  kMerged,      // they are, together with those of others
  kOverBudget,  // left: it did not fit into max_written_bytes
  kDamaged,     // left: not all of its blobs are what they were
  kStray,       // a file that nobody references; removed
};

struct CollectedPack {
  std::string id;
  int64_t num_bytes = 0;
  int64_t live_bytes = 0;
  PackFate fate = PackFate::kRewritten;
};

// What SQLite takes for the catalog, and how much of that is free for rows to
// come. Only rewriting the whole file would give it back to the disk.
struct CatalogSpace {
  int64_t num_bytes = 0;
  int64_t free_bytes = 0;
};

struct Collection {
  // A line each, of the first so many; the numbers count all.
  static constexpr size_t kMaxListedPacks = 1000;

  // What was looked at, as it was before.
  int64_t num_packs = 0;
  int64_t num_bytes = 0;
  int64_t live_bytes = 0;

  int64_t num_rewritten = 0;
  int64_t num_merged = 0;
  int64_t num_over_budget = 0;
  int64_t num_damaged = 0;
  int64_t num_strays = 0;

  // Fresh packs, and the files that are gone for them or were strays. A file
  // that somebody still reads takes its space until they let go of it.
  int64_t num_written = 0;
  int64_t written_bytes = 0;
  int64_t removed_bytes = 0;

  std::vector<CollectedPack> packs;
  CatalogSpace catalog;

  void Add(CollectedPack pack);
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_MAINTENANCE_COLLECTION_H_
