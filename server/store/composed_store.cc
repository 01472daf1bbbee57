#include "server/store/composed_store.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/store/composed_snapshot.h"
#include "server/store/draft.h"
#include "server/store/errors.h"
#include "server/store/maintenance/blob_examiner.h"
#include "server/store/maintenance/check.h"
#include "server/store/maintenance/collector.h"
#include "server/store/maintenance/scrub.h"
#include "server/store/manifest_cache.h"
#include "server/store/page_token.h"
#include "server/store/read_verifier.h"

namespace warmstart::store {
namespace {

// A blob may be removed, or moved to another pack, between looking it up and
// reading it. Each time that happens, its last checkpoint was deleted and, for
// another round to be needed, a new one was saved, or its pack was rewritten;
// nobody does that for long.
constexpr int kMaxReadAttempts = 10;

// Manifests of a hundred models of some hundred tensors each, or one of some
// ten thousand.
constexpr size_t kManifestCacheBytes = size_t{16} << 20;

CheckpointFilter FilterOf(const ListCheckpointsOptions& options) {
  CheckpointFilter filter;
  filter.architecture = options.architecture;
  filter.labels = options.labels;
  absl::string_view alias = options.alias;
  filter.alias_is_prefix = absl::ConsumeSuffix(&alias, "*");
  filter.alias = std::string(alias);
  return filter;
}

ListingId ListingOf(const ListCheckpointsOptions& options) {
  ListingId id = {
      "checkpoints",
      options.architecture.has_value() ? options.architecture->ToString() : "",
      options.alias};
  for (const auto& [key, value] : options.labels) {
    id.push_back(key);
    id.push_back(value);
  }
  return id;
}

// Cuts `rows`, of which one more than a page was asked for, to a page. Returns
// the token of the next page: "" where there is none, else for the position of
// the last row that stays.
template <typename Row, typename PositionOf>
std::string CutToPage(std::vector<Row>& rows, int page_size,
                      const ListingId& listing, PositionOf position_of) {
  if (static_cast<int>(rows.size()) <= page_size) return "";
  rows.resize(page_size);
  return EncodePageToken(listing, position_of(rows.back()));
}

// "" where there is no token: nothing comes before it.
absl::StatusOr<std::string> NameAfter(const ListingId& listing,
                                      const std::string& page_token) {
  if (page_token.empty()) return "";
  return DecodePageToken(listing, page_token);
}

class ComposedStore final : public Store {
 public:
  explicit ComposedStore(StoreParts parts)
      : lock_(std::move(parts.lock)),
        packs_(std::move(parts.packs)),
        catalog_(std::move(parts.catalog)),
        uploads_(std::move(parts.uploads)),
        clock_(*parts.clock),
        verifier_(parts.verify_reads) {}

  // Before the store is used.
  absl::Status Sweep() {
    ASSIGN_OR_RETURN(const std::vector<PackId> packs, catalog_->ListPacks());
    RETURN_IF_ERROR(packs_->Sweep({packs.begin(), packs.end()}));
    return uploads_->Recover([this](const CheckpointName& name) {
      return FoundOrNot(catalog_->CheckExists(name));
    });
  }

  std::unique_ptr<Draft> NewDraft() override {
    return NewComposedDraft(*packs_, *catalog_, *uploads_, clock_);
  }

  UploadStore& uploads() override { return *uploads_; }

  absl::StatusOr<CheckpointName> Resolve(absl::string_view handle) override {
    if (absl::StartsWith(handle, "aliases/")) {
      ASSIGN_OR_RETURN(const AliasName alias, AliasName::Parse(handle));
      return catalog_->ResolveAlias(alias);
    }
    ASSIGN_OR_RETURN(CheckpointName name, CheckpointName::Parse(handle));
    RETURN_IF_ERROR(catalog_->CheckExists(name));
    return name;
  }

  absl::StatusOr<Checkpoint> GetCheckpoint(
      const CheckpointName& name) override {
    return catalog_->GetCheckpoint(name);
  }

  absl::StatusOr<std::shared_ptr<const Manifest>> GetManifest(
      const CheckpointName& name) override {
    if (auto known = manifests_.Find(name); known != nullptr) return known;
    const ManifestCache::Ticket ticket = manifests_.BeginRead();
    ASSIGN_OR_RETURN(Manifest manifest, catalog_->GetManifest(name));
    auto shared = std::make_shared<const Manifest>(std::move(manifest));
    manifests_.Add(name, shared, ticket);
    return shared;
  }

  absl::StatusOr<CheckpointPage> ListCheckpoints(
      const ListCheckpointsOptions& options) override {
    const ListingId listing = ListingOf(options);
    ASSIGN_OR_RETURN(const int page_size, EffectivePageSize(options.page_size));
    ASSIGN_OR_RETURN(const int64_t before,
                     NumberBefore(listing, options.page_token));
    ASSIGN_OR_RETURN(
        ListedCheckpoints rows,
        catalog_->ListCheckpoints(FilterOf(options), before, page_size));
    CheckpointPage page;
    if (rows.next_before > 0) {
      page.next_page_token =
          EncodePageToken(listing, absl::StrCat(rows.next_before));
    }
    for (ListedCheckpoint& row : rows.checkpoints) {
      page.checkpoints.push_back(std::move(row.checkpoint));
    }
    return page;
  }

  absl::StatusOr<Checkpoint> UpdateCheckpoint(
      const CheckpointName& name, const CheckpointUpdate& update) override {
    return catalog_->UpdateCheckpoint(name, update, clock_.Now());
  }

  absl::Status DeleteCheckpoint(const CheckpointName& name,
                                bool force) override {
    const absl::StatusOr<std::vector<PackId>> unused =
        catalog_->DeleteCheckpoint(name, force);
    // Also after an error, which may have come when all was done.
    manifests_.Forget(name);
    RETURN_IF_ERROR(unused.status());
    RemovePacks(*unused);
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<RetiredCheckpoint>> FindRetired(
      const RetentionPolicy& policy, int limit) override {
    return catalog_->FindRetired(policy, limit);
  }

  absl::StatusOr<std::optional<RetiredCheckpoint>> DeleteRetired(
      const CheckpointName& name, const RetentionPolicy& policy) override {
    absl::StatusOr<std::optional<RemovedCheckpoint>> removed =
        catalog_->DeleteRetired(name, policy);
    // Also after an error, as for DeleteCheckpoint.
    manifests_.Forget(name);
    RETURN_IF_ERROR(removed.status());
    if (!removed->has_value()) return std::nullopt;
    RemovePacks((*removed)->unused_packs);
    return std::move((*removed)->checkpoint);
  }

  StoreUsage usage() override { return catalog_->quota().usage(); }
  StoreLimits limits() override { return catalog_->quota().limits(); }

  absl::StatusOr<Alias> SetAlias(const AliasName& alias,
                                 const CheckpointName& checkpoint) override {
    return catalog_->SetAlias(alias, checkpoint, clock_.Now());
  }

  absl::Status DeleteAlias(const AliasName& alias) override {
    return catalog_->DeleteAlias(alias);
  }

  absl::StatusOr<AliasPage> ListAliases(
      int page_size, const std::string& page_token) override {
    const ListingId listing = {"aliases"};
    ASSIGN_OR_RETURN(page_size, EffectivePageSize(page_size));
    ASSIGN_OR_RETURN(const std::string after, NameAfter(listing, page_token));
    AliasPage page;
    ASSIGN_OR_RETURN(page.aliases, catalog_->ListAliases(after, page_size + 1));
    page.next_page_token =
        CutToPage(page.aliases, page_size, listing,
                  [](const Alias& alias) { return alias.name.id(); });
    return page;
  }

  absl::StatusOr<int64_t> PutArchitecture(
      const Architecture& architecture) override {
    return catalog_->PutArchitecture(architecture);
  }

  absl::StatusOr<int64_t> PreviewArchitecture(
      const Architecture& architecture) override {
    return catalog_->PreviewArchitecture(architecture);
  }

  absl::StatusOr<Architecture> GetArchitecture(
      const ArchitectureName& name) override {
    return catalog_->GetArchitecture(name);
  }

  absl::StatusOr<ArchitecturePage> ListArchitectures(
      int page_size, const std::string& page_token) override {
    const ListingId listing = {"architectures"};
    ASSIGN_OR_RETURN(page_size, EffectivePageSize(page_size));
    ASSIGN_OR_RETURN(const std::string after, NameAfter(listing, page_token));
    ArchitecturePage page;
    ASSIGN_OR_RETURN(page.architectures,
                     catalog_->ListArchitectures(after, page_size + 1));
    page.next_page_token = CutToPage(
        page.architectures, page_size, listing,
        [](const Architecture& architecture) { return architecture.name; });
    return page;
  }

  absl::StatusOr<ArchitecturePage> ListArchitectureVersions(
      const ArchitectureName& name, int page_size,
      const std::string& page_token) override {
    const ListingId listing = {"architecture_versions", name.id()};
    ASSIGN_OR_RETURN(page_size, EffectivePageSize(page_size));
    ASSIGN_OR_RETURN(const int64_t before, NumberBefore(listing, page_token));
    ArchitecturePage page;
    ASSIGN_OR_RETURN(page.architectures, catalog_->ListArchitectureVersions(
                                             name, before, page_size + 1));
    page.next_page_token =
        CutToPage(page.architectures, page_size, listing,
                  [](const Architecture& architecture) {
                    return absl::StrCat(architecture.version);
                  });
    return page;
  }

  absl::Status DeleteArchitecture(const ArchitectureName& name,
                                  bool force) override {
    return catalog_->DeleteArchitecture(name, force);
  }

  absl::StatusOr<std::optional<CheckpointName>> FindRequest(
      const std::string& request_id, const Digest& fingerprint) override {
    return catalog_->FindRequest(request_id, fingerprint);
  }

  absl::StatusOr<std::vector<std::optional<Blob>>> FindBlobs(
      absl::Span<const Digest> digests) override {
    ASSIGN_OR_RETURN(const auto locations, catalog_->FindBlobs(digests));
    std::vector<std::optional<Blob>> blobs;
    blobs.reserve(locations.size());
    for (const std::optional<BlobLocation>& location : locations) {
      const bool is_held =
          location.has_value() && !location->damage_time.has_value();
      blobs.push_back(is_held ? std::optional(location->blob) : std::nullopt);
    }
    return blobs;
  }

  absl::StatusOr<Blob> GetBlob(const Digest& digest) override {
    ASSIGN_OR_RETURN(const BlobLocation location, Locate(digest));
    return location.blob;
  }

  absl::StatusOr<BlobData> OpenBlob(const Digest& digest) override {
    ASSIGN_OR_RETURN(BlobLocation location, Locate(digest));
    for (int attempt = 1;; ++attempt) {
      if (location.damage_time.has_value()) {
        return BlobDamaged(digest, *location.damage_time);
      }
      absl::StatusOr<BlobData> data = Read(location);
      const bool is_lost = absl::IsDataLoss(data.status());
      if (!is_lost && !absl::IsNotFound(data.status())) return data;
      ASSIGN_OR_RETURN(BlobLocation again, Locate(digest));
      const bool stays = is_lost && again.pack == location.pack;
      if (stays) Quarantine(location);
      if (stays || attempt == kMaxReadAttempts) {
        return WithErrorInfo(absl::DataLossError(data.status().message()),
                             reason::kDataLoss, {{"digest", digest.ToHex()}});
      }
      location = std::move(again);
    }
  }

  absl::StatusOr<std::unique_ptr<Snapshot>> TakeSnapshot() override {
    return TakeComposedSnapshot(*packs_, *catalog_, clock_);
  }

  absl::StatusOr<Collection> CollectGarbage(
      const CollectOptions& options) override {
    return collector_.Collect(options);
  }

  absl::StatusOr<ScrubResult> Scrub(ScrubReporter report) override {
    return ScrubBlobs(*packs_, *catalog_, clock_, report,
                      [this](const BlobLocation& blob) { Suspect(blob); });
  }

  absl::StatusOr<Damage> FindDamage(const DamageLimits& limits) override {
    return catalog_->FindDamage(limits);
  }

  absl::StatusOr<CheckResult> Check() override {
    return CheckStore(*packs_, *catalog_);
  }

 private:
  // That the catalog no longer knows: they are deleted. What cannot be removed,
  // the next start sweeps.
  void RemovePacks(const std::vector<PackId>& packs) {
    for (const PackId& id : packs) {
      packs_->Remove(id).IgnoreError();
      verifier_.Forget(id);
    }
  }

  static absl::StatusOr<bool> FoundOrNot(const absl::Status& status) {
    if (absl::IsNotFound(status)) return false;
    RETURN_IF_ERROR(status);
    return true;
  }

  // Of listings whose positions are numbers, the greatest first.
  static absl::StatusOr<int64_t> NumberBefore(const ListingId& listing,
                                              const std::string& page_token) {
    if (page_token.empty()) return Catalog::kNewest;
    ASSIGN_OR_RETURN(const std::string position,
                     DecodePageToken(listing, page_token));
    int64_t number = 0;
    if (!absl::SimpleAtoi(position, &number)) {
      return InvalidField("page_token", "not a token of this store");
    }
    return number;
  }

  absl::StatusOr<BlobLocation> Locate(const Digest& digest) {
    ASSIGN_OR_RETURN(const auto locations, catalog_->FindBlobs({&digest, 1}));
    if (!locations[0].has_value()) return BlobNotFound(digest);
    return *locations[0];
  }

  absl::StatusOr<BlobData> Read(const BlobLocation& location) {
    if (location.blob.num_bytes == 0) return BlobData{};
    ASSIGN_OR_RETURN(BlobData data,
                     location.pack.empty()
                         ? ReadSmall(location.blob.digest)
                         : packs_->Read(location.pack, location.offset,
                                        location.blob.num_bytes));
    RETURN_IF_ERROR(verifier_.Check(location, data.bytes));
    return data;
  }

  // After a read that found the blob damaged or gone, if another look does,
  // too. Where the catalog cannot be written, the next read finds it again.
  void Quarantine(const BlobLocation& location) {
    const absl::Status found =
        BlobExaminer(*packs_, *catalog_).Examine(location, [](int64_t) {
          return absl::OkStatus();
        });
    if (!absl::IsDataLoss(found)) return;
    catalog_->MarkDamaged({&location, 1}, clock_.Now()).IgnoreError();
    Suspect(location);
  }

  // What else lies in a pack that is damaged is looked at again.
  void Suspect(const BlobLocation& location) {
    if (!location.pack.empty()) verifier_.Forget(location.pack);
  }

  // NOT_FOUND where it was deleted meanwhile.
  absl::StatusOr<BlobData> ReadSmall(const Digest& digest) {
    ASSIGN_OR_RETURN(std::string bytes, catalog_->ReadBlob(digest));
    auto owner = std::make_shared<const std::string>(std::move(bytes));
    return BlobData{*owner, owner};
  }

  const std::unique_ptr<DirectoryLock> lock_;
  const std::unique_ptr<PackStore> packs_;
  const std::unique_ptr<Catalog> catalog_;
  const std::unique_ptr<UploadStore> uploads_;
  Clock& clock_;
  ReadVerifier verifier_;
  Collector collector_{*packs_, *catalog_, verifier_};
  ManifestCache manifests_{kManifestCacheBytes};
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> ComposeStore(StoreParts parts) {
  auto store = std::make_unique<ComposedStore>(std::move(parts));
  RETURN_IF_ERROR(store->Sweep());
  return store;
}

}  // namespace warmstart::store
