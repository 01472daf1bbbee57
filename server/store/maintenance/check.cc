#include "server/store/maintenance/check.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/base/status_macros.h"

namespace warmstart::store {
namespace {

// How many findings are told; one broken pack may be a million.
constexpr int64_t kMaxFindings = 1000;

// A deletion commits first and removes the files then, and between the two they
// look as though they were nobody's: how often, and after which pause, it is
// looked again whether they are still there.
constexpr int kLooks = 10;
constexpr absl::Duration kPause = absl::Milliseconds(100);

class Check {
 public:
  Check(PackStore& packs, Catalog& catalog)
      : packs_(packs), catalog_(catalog) {}

  absl::StatusOr<CheckResult> Run() {
    // Before the catalog's state: a file that is settled by now is in it, or
    // nobody's.
    ASSIGN_OR_RETURN(const std::vector<PackFile> files, packs_.ListSettled());
    ASSIGN_OR_RETURN(const CatalogCheck rows,
                     catalog_.Check([this](std::string finding) {
                       Add(std::move(finding));
                     }));
    result_.num_checkpoints = rows.num_checkpoints;
    result_.num_blobs = rows.num_blobs;
    result_.num_packs = static_cast<int64_t>(rows.packs.size());
    RETURN_IF_ERROR(CheckPacks(rows.packs));
    RETURN_IF_ERROR(CheckFiles(files, rows.packs));
    return std::move(result_);
  }

 private:
  void Add(std::string finding) {
    if (++result_.num_findings > kMaxFindings) return;
    result_.findings.push_back(std::move(finding));
  }

  // The files of the packs that the catalog knows.
  absl::Status CheckPacks(const std::vector<PackFile>& packs) {
    std::vector<std::pair<PackId, std::string>> suspects;
    for (const PackFile& pack : packs) {
      const absl::StatusOr<int64_t> size = packs_.SizeOf(pack.id);
      if (absl::IsDataLoss(size.status())) {
        suspects.emplace_back(pack.id, size.status().message());
        continue;
      }
      RETURN_IF_ERROR(size.status());
      if (*size != pack.num_bytes) {
        Add(absl::StrCat("pack ", pack.id, " has ", *size, " bytes instead of ",
                         pack.num_bytes));
      }
    }
    if (suspects.empty()) return absl::OkStatus();
    // Those that the catalog still knows were not deleted meanwhile.
    ASSIGN_OR_RETURN(const std::vector<PackId> now, catalog_.ListPacks());
    const absl::flat_hash_set<PackId> known(now.begin(), now.end());
    for (auto& [id, finding] : suspects) {
      if (known.contains(id)) Add(std::move(finding));
    }
    return absl::OkStatus();
  }

  // The files that the catalog does not know.
  absl::Status CheckFiles(const std::vector<PackFile>& files,
                          const std::vector<PackFile>& packs) {
    absl::flat_hash_set<PackId> known;
    for (const PackFile& pack : packs) known.insert(pack.id);
    std::vector<PackFile> orphans;
    std::copy_if(
        files.begin(), files.end(), std::back_inserter(orphans),
        [&](const PackFile& file) { return !known.contains(file.id); });
    for (int look = 0; look < kLooks && !orphans.empty(); ++look) {
      if (look > 0) absl::SleepFor(kPause);
      RETURN_IF_ERROR(DropRemoved(orphans));
    }
    for (const PackFile& file : orphans) {
      Add(absl::StrCat("file ", file.id, " in packs/, of ", file.num_bytes,
                       " bytes, is nobody's; the next start removes it"));
    }
    return absl::OkStatus();
  }

  absl::Status DropRemoved(std::vector<PackFile>& files) {
    std::vector<PackFile> left;
    for (PackFile& file : files) {
      const absl::StatusOr<int64_t> size = packs_.SizeOf(file.id);
      if (absl::IsDataLoss(size.status())) continue;
      RETURN_IF_ERROR(size.status());
      left.push_back(std::move(file));
    }
    files = std::move(left);
    return absl::OkStatus();
  }

  PackStore& packs_;
  Catalog& catalog_;
  CheckResult result_;
};

}  // namespace

absl::StatusOr<CheckResult> CheckStore(PackStore& packs, Catalog& catalog) {
  return Check(packs, catalog).Run();
}

}  // namespace warmstart::store
