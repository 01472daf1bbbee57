#include "server/store/maintenance/collector.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/base/status_macros.h"
#include "server/model/digest.h"
#include "server/store/placement.h"

namespace warmstart::store {
namespace {

// A pack that is copied from, and its blobs by offset.
struct Source {
  PackUsage usage;
  std::unique_ptr<PackScanner> pack;
  std::vector<PlacedBlob> blobs;
};

CollectedPack Fated(const PackUsage& pack, PackFate fate) {
  return {.id = pack.id,
          .num_bytes = pack.num_bytes,
          .live_bytes = pack.live_bytes,
          .fate = fate};
}

PackFate FateIn(const PackGroup& group) {
  return group.packs.size() > 1 ? PackFate::kMerged : PackFate::kRewritten;
}

CollectedPack Stray(const PackFile& pack) {
  return {.id = pack.id, .num_bytes = pack.num_bytes, .fate = PackFate::kStray};
}

// What is known before anything is done.
Collection Examined(const std::vector<PackUsage>& packs,
                    const CollectionPlan& plan) {
  Collection collection;
  for (const PackUsage& pack : packs) {
    ++collection.num_packs;
    collection.num_bytes += pack.num_bytes;
    collection.live_bytes += pack.live_bytes;
  }
  for (const PackUsage& pack : plan.damaged) {
    collection.Add(Fated(pack, PackFate::kDamaged));
  }
  for (const PackUsage& pack : plan.over_budget) {
    collection.Add(Fated(pack, PackFate::kOverBudget));
  }
  return collection;
}

// What would be done.
void Foretell(const CollectionPlan& plan, const std::vector<PackFile>& strays,
              Collection& collection) {
  for (const PackGroup& group : plan.groups) {
    ++collection.num_written;
    collection.written_bytes += group.num_bytes;
    for (const PackUsage& pack : group.packs) {
      collection.removed_bytes += pack.num_bytes;
      collection.Add(Fated(pack, FateIn(group)));
    }
  }
  for (const PackFile& pack : strays) {
    collection.removed_bytes += pack.num_bytes;
    collection.Add(Stray(pack));
  }
}

// nullopt where the pack went with its last blob meanwhile, and where it is
// gone though it should be there, which `collection` is told.
absl::StatusOr<std::optional<Source>> Open(PackStore& packs, Catalog& catalog,
                                           const PackUsage& usage,
                                           Collection& collection) {
  absl::StatusOr<std::unique_ptr<PackScanner>> pack =
      packs.OpenForScan(usage.id);
  if (!absl::IsDataLoss(pack.status())) RETURN_IF_ERROR(pack.status());
  // Asked last: what is not there may have been removed.
  ASSIGN_OR_RETURN(std::vector<PlacedBlob> blobs, catalog.ListBlobs(usage.id));
  if (blobs.empty()) return std::nullopt;
  if (!pack.ok()) {
    collection.Add(Fated(usage, PackFate::kDamaged));
    return std::nullopt;
  }
  return Source{
      .usage = usage, .pack = *std::move(pack), .blobs = std::move(blobs)};
}

absl::StatusOr<std::vector<Source>> OpenAll(PackStore& packs, Catalog& catalog,
                                            const PackGroup& group,
                                            Collection& collection) {
  std::vector<Source> sources;
  for (const PackUsage& pack : group.packs) {
    ASSIGN_OR_RETURN(std::optional<Source> source,
                     Open(packs, catalog, pack, collection));
    if (source.has_value()) sources.push_back(*std::move(source));
  }
  return sources;
}

absl::Status CopyOne(const Source& source, PackBuilder& builder) {
  for (const Run& run : MergeIntoRuns(source.blobs)) {
    RETURN_IF_ERROR(builder.Append(*source.pack, run));
  }
  return absl::OkStatus();
}

// The first that cannot be read, or the end where all of them were copied.
absl::StatusOr<size_t> CopyAll(const std::vector<Source>& sources,
                               PackBuilder& builder) {
  for (size_t i = 0; i < sources.size(); ++i) {
    const absl::Status status = CopyOne(sources[i], builder);
    if (absl::IsDataLoss(status)) return i;
    RETURN_IF_ERROR(status);
  }
  return sources.size();
}

bool AreIntact(absl::string_view pack, absl::Span<const PlacedBlob> blobs) {
  return absl::c_all_of(blobs, [&](const PlacedBlob& placed) {
    return Digest::Of(pack.substr(placed.offset, placed.blob.num_bytes)) ==
           placed.blob.digest;
  });
}

// The first of `sources` whose blobs are damaged, or the end. It looks at the
// copies, which are what will be left.
size_t FindDamaged(const std::vector<Source>& sources, absl::string_view copied,
                   const NewPack& pack) {
  absl::Span<const PlacedBlob> blobs = pack.blobs;
  for (size_t i = 0; i < sources.size(); ++i) {
    const size_t count = sources[i].blobs.size();
    if (!AreIntact(copied, blobs.subspan(0, count))) return i;
    blobs.remove_prefix(count);
  }
  return sources.size();
}

// Copies `sources`, in which the intact ones stay. Null where there are none.
absl::StatusOr<std::unique_ptr<PackBuilder>> CopyIntact(
    PackStore& packs, std::vector<Source>& sources, Collection& collection) {
  while (!sources.empty()) {
    auto builder = std::make_unique<PackBuilder>(packs);
    ASSIGN_OR_RETURN(size_t damaged, CopyAll(sources, *builder));
    if (damaged == sources.size()) {
      ASSIGN_OR_RETURN(const absl::string_view copied,
                       builder->staged().Finish());
      builder->staged().StartSync();
      damaged = FindDamaged(sources, copied, builder->pack());
    }
    if (damaged == sources.size()) return builder;
    // Once more, without it.
    collection.Add(Fated(sources[damaged].usage, PackFate::kDamaged));
    sources.erase(sources.begin() + static_cast<int64_t>(damaged));
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<Collection> Collector::Collect(const CollectOptions& options) {
  if (!options.dry_run && is_running_.exchange(true)) {
    return absl::AbortedError(
        "another collection is under way; wait until it is done");
  }
  const absl::Cleanup end = [&] {
    if (!options.dry_run) is_running_ = false;
  };
  ASSIGN_OR_RETURN(const std::vector<PackUsage> packs,
                   catalog_.ListPackUsage());
  const CollectionPlan plan = PlanCollection(packs, options);
  Collection collection = Examined(packs, plan);
  if (options.dry_run) {
    ASSIGN_OR_RETURN(const std::vector<PackFile> strays, FindStrays());
    Foretell(plan, strays, collection);
  } else {
    RETURN_IF_ERROR(CarryOut(plan, options, collection));
  }
  ASSIGN_OR_RETURN(collection.catalog, catalog_.MeasureSpace());
  return collection;
}

absl::Status Collector::CarryOut(const CollectionPlan& plan,
                                 const CollectOptions& options,
                                 Collection& collection) {
  for (const PackGroup& group : plan.groups) {
    if (options.is_cancelled && options.is_cancelled()) {
      return absl::CancelledError(
          "the collection was cancelled; what it did until then stays done");
    }
    RETURN_IF_ERROR(Rewrite(group, collection));
  }
  return RemoveStrays(collection);
}

absl::Status Collector::Rewrite(const PackGroup& group,
                                Collection& collection) {
  ASSIGN_OR_RETURN(std::vector<Source> sources,
                   OpenAll(packs_, catalog_, group, collection));
  ASSIGN_OR_RETURN(const std::unique_ptr<PackBuilder> fresh,
                   CopyIntact(packs_, sources, collection));
  if (fresh == nullptr) return absl::OkStatus();
  std::vector<PackId> old;
  for (const Source& source : sources) old.push_back(source.usage.id);
  ASSIGN_OR_RETURN(const std::vector<PackId> unused, PutInPlace(*fresh, old));
  // It is done from here on. What cannot be removed is a stray.
  for (const PackId& id : unused) {
    packs_.Remove(id).IgnoreError();
    verifier_.Forget(id);
  }
  if (!absl::c_linear_search(unused, fresh->pack().id)) {
    ++collection.num_written;
    collection.written_bytes += fresh->pack().num_bytes;
  }
  for (const Source& source : sources) {
    if (!absl::c_linear_search(unused, source.usage.id)) continue;
    collection.removed_bytes += source.usage.num_bytes;
    collection.Add(Fated(source.usage, FateIn(group)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PackId>> Collector::PutInPlace(
    PackBuilder& fresh, const std::vector<PackId>& old) {
  RETURN_IF_ERROR(fresh.staged().Publish());
  const PackId& id = fresh.pack().id;
  if (absl::Status flushed = packs_.Flush(); !flushed.ok()) {
    packs_.Remove(id).IgnoreError();
    return flushed;
  }
  auto unused = catalog_.MoveBlobs(fresh.pack(), old);
  // After INTERNAL nobody knows where the blobs will be found at the next
  // start.
  if (!unused.ok() && !absl::IsInternal(unused.status())) {
    packs_.Remove(id).IgnoreError();
  }
  return unused;
}

absl::StatusOr<std::vector<PackFile>> Collector::FindStrays() {
  ASSIGN_OR_RETURN(std::vector<PackFile> packs, packs_.ListSettled());
  // Asked last, as PackStore::ListSettled has it.
  ASSIGN_OR_RETURN(const std::vector<PackId> known, catalog_.ListPacks());
  const absl::flat_hash_set<PackId> known_ids(known.begin(), known.end());
  std::erase_if(
      packs, [&](const PackFile& pack) { return known_ids.contains(pack.id); });
  return packs;
}

absl::Status Collector::RemoveStrays(Collection& collection) {
  ASSIGN_OR_RETURN(const std::vector<PackFile> strays, FindStrays());
  if (strays.empty()) return absl::OkStatus();
  // A commit that ended with INTERNAL may have left one of them, and would need
  // it, were it found to be done at the next start.
  RETURN_IF_ERROR(catalog_.Settle());
  for (const PackFile& pack : strays) {
    RETURN_IF_ERROR(packs_.Remove(pack.id));
    collection.removed_bytes += pack.num_bytes;
    collection.Add(Stray(pack));
  }
  return absl::OkStatus();
}

}  // namespace warmstart::store
