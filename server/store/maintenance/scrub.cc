#include "server/store/maintenance/scrub.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "server/base/status_macros.h"
#include "server/store/maintenance/blob_examiner.h"

namespace warmstart::store {
namespace {

// Locations that are known at a time.
constexpr int kBatch = 1000;

// In the order in which they lie: within a pack, the catalog has them in that
// in which they were named.
void SortByPlace(std::vector<BlobLocation>& blobs) {
  std::sort(blobs.begin(), blobs.end(),
            [](const BlobLocation& a, const BlobLocation& b) {
              return std::tie(a.pack, a.offset) < std::tie(b.pack, b.offset);
            });
}

class Scrub {
 public:
  Scrub(PackStore& packs, Catalog& catalog, Clock& clock, ScrubReporter report,
        absl::FunctionRef<void(const BlobLocation&)> on_damage)
      : catalog_(catalog),
        clock_(clock),
        report_(report),
        on_damage_(on_damage),
        examiner_(packs, catalog) {}

  absl::StatusOr<ScrubResult> Run() {
    ASSIGN_OR_RETURN(const BlobTotals totals, catalog_.CountBlobs());
    progress_.num_blobs = totals.num_blobs;
    progress_.num_bytes = totals.num_bytes;
    RETURN_IF_ERROR(report_(progress_));
    for (BlobCursor cursor;;) {
      ASSIGN_OR_RETURN(std::vector<BlobLocation> blobs,
                       catalog_.NextBlobs(cursor, kBatch));
      if (blobs.empty()) break;
      RETURN_IF_ERROR(Take(std::move(blobs)));
    }
    result_.blobs_read = progress_.blobs_read;
    result_.bytes_read = progress_.bytes_read;
    ASSIGN_OR_RETURN(result_.damage, catalog_.FindDamage(DamageLimits()));
    return result_;
  }

 private:
  // Where it is broken off, what was found is kept.
  absl::Status Take(std::vector<BlobLocation> blobs) {
    SortByPlace(blobs);
    absl::Status status;
    for (auto blob = blobs.begin(); blob != blobs.end() && status.ok();
         ++blob) {
      status = Examine(*blob);
    }
    const absl::Status recorded = Record();
    return status.ok() ? recorded : status;
  }

  absl::Status Examine(const BlobLocation& blob) {
    const int64_t read_before = progress_.bytes_read;
    const absl::Status found = examiner_.Examine(blob, [&](int64_t num_read) {
      progress_.bytes_read = read_before + num_read;
      return report_(progress_);
    });
    if (absl::IsNotFound(found)) return absl::OkStatus();  // deleted meanwhile
    if (!found.ok() && !absl::IsDataLoss(found)) return found;
    ++progress_.blobs_read;
    progress_.bytes_read = read_before + blob.blob.num_bytes;
    // Only what is news.
    if (found.ok() && blob.damage_time.has_value()) intact_.push_back(blob);
    if (!found.ok() && !blob.damage_time.has_value()) damaged_.push_back(blob);
    return absl::OkStatus();
  }

  // The transactions are for what was found alone, and so are rare.
  absl::Status Record() {
    if (!damaged_.empty()) {
      ASSIGN_OR_RETURN(const int64_t num_marked,
                       catalog_.MarkDamaged(damaged_, clock_.Now()));
      result_.num_found += num_marked;
      for (const BlobLocation& blob : damaged_) on_damage_(blob);
      damaged_.clear();
    }
    if (!intact_.empty()) {
      ASSIGN_OR_RETURN(const int64_t num_marked, catalog_.MarkIntact(intact_));
      result_.num_cleared += num_marked;
      intact_.clear();
    }
    return absl::OkStatus();
  }

  Catalog& catalog_;
  Clock& clock_;
  ScrubReporter report_;
  absl::FunctionRef<void(const BlobLocation&)> on_damage_;
  BlobExaminer examiner_;
  // Of the batch: those that are to go into quarantine, and out of it.
  std::vector<BlobLocation> damaged_;
  std::vector<BlobLocation> intact_;
  ScrubProgress progress_;
  ScrubResult result_;
};

}  // namespace

absl::StatusOr<ScrubResult> ScrubBlobs(
    PackStore& packs, Catalog& catalog, Clock& clock, ScrubReporter report,
    absl::FunctionRef<void(const BlobLocation&)> on_damage) {
  return Scrub(packs, catalog, clock, report, on_damage).Run();
}

}  // namespace warmstart::store
