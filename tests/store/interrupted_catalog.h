#ifndef WARMSTART_TESTS_STORE_INTERRUPTED_CATALOG_H_
#define WARMSTART_TESTS_STORE_INTERRUPTED_CATALOG_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/store/catalog.h"

namespace warmstart::store {

// A catalog whose Commit is preceded by something that a test wants to
// happen between a draft's look at the catalog and its commit, and whose answer
// may be replaced by an error.
class InterruptedCatalog final : public Catalog {
 public:
  explicit InterruptedCatalog(std::unique_ptr<Catalog> real)
      : real_(std::move(real)) {}

  std::function<void()> before_commit = [] {};
  absl::Status answer;  // used unless OK
  bool commits = true;  // whether a replaced answer's commit happened

  absl::StatusOr<CommitResult> Commit(
      const CheckpointName& name, absl::Time create_time,
      const NewCheckpoint& checkpoint, const NewBlobs& blobs,
      absl::FunctionRef<absl::Status()> wait_for_packs) override {
    before_commit();
    if (answer.ok() || commits) {
      auto result =
          real_->Commit(name, create_time, checkpoint, blobs, wait_for_packs);
      if (answer.ok()) return result;
    }
    return answer;
  }
  absl::StatusOr<std::vector<PackId>> DeleteCheckpoint(
      const CheckpointName& name, bool force) override {
    return real_->DeleteCheckpoint(name, force);
  }
  absl::Status CheckExists(const CheckpointName& name) override {
    return real_->CheckExists(name);
  }
  absl::StatusOr<CheckpointName> ResolveAlias(const AliasName& a) override {
    return real_->ResolveAlias(a);
  }
  absl::StatusOr<Checkpoint> GetCheckpoint(const CheckpointName& n) override {
    return real_->GetCheckpoint(n);
  }
  absl::StatusOr<Manifest> GetManifest(const CheckpointName& n) override {
    return real_->GetManifest(n);
  }
  absl::StatusOr<Checkpoint> UpdateCheckpoint(const CheckpointName& n,
                                              const CheckpointUpdate& update,
                                              absl::Time now) override {
    return real_->UpdateCheckpoint(n, update, now);
  }
  absl::StatusOr<std::vector<RetiredCheckpoint>> FindRetired(
      const RetentionPolicy& policy, int limit) override {
    return real_->FindRetired(policy, limit);
  }
  absl::StatusOr<std::optional<RemovedCheckpoint>> DeleteRetired(
      const CheckpointName& n, const RetentionPolicy& policy) override {
    return real_->DeleteRetired(n, policy);
  }
  Quota& quota() override { return real_->quota(); }
  absl::StatusOr<ListedCheckpoints> ListCheckpoints(
      const CheckpointFilter& filter, int64_t before, int limit) override {
    return real_->ListCheckpoints(filter, before, limit);
  }
  absl::StatusOr<Alias> SetAlias(const AliasName& alias,
                                 const CheckpointName& checkpoint,
                                 absl::Time update_time) override {
    return real_->SetAlias(alias, checkpoint, update_time);
  }
  absl::Status DeleteAlias(const AliasName& alias) override {
    return real_->DeleteAlias(alias);
  }
  absl::StatusOr<std::vector<Alias>> ListAliases(const std::string& after,
                                                 int limit) override {
    return real_->ListAliases(after, limit);
  }
  absl::StatusOr<int64_t> PutArchitecture(const Architecture& a) override {
    return real_->PutArchitecture(a);
  }
  absl::StatusOr<int64_t> PreviewArchitecture(const Architecture& a) override {
    return real_->PreviewArchitecture(a);
  }
  absl::StatusOr<Architecture> GetArchitecture(
      const ArchitectureName& name) override {
    return real_->GetArchitecture(name);
  }
  absl::StatusOr<std::vector<Architecture>> ListArchitectures(
      const std::string& after, int limit) override {
    return real_->ListArchitectures(after, limit);
  }
  absl::StatusOr<std::vector<Architecture>> ListArchitectureVersions(
      const ArchitectureName& name, int64_t before, int limit) override {
    return real_->ListArchitectureVersions(name, before, limit);
  }
  absl::Status DeleteArchitecture(const ArchitectureName& name,
                                  bool force) override {
    return real_->DeleteArchitecture(name, force);
  }
  absl::StatusOr<std::optional<CheckpointName>> FindRequest(
      const std::string& request_id, const Digest& fingerprint) override {
    return real_->FindRequest(request_id, fingerprint);
  }
  absl::StatusOr<std::vector<std::optional<BlobLocation>>> FindBlobs(
      absl::Span<const Digest> digests) override {
    return real_->FindBlobs(digests);
  }
  absl::StatusOr<std::string> ReadBlob(const Digest& digest) override {
    return real_->ReadBlob(digest);
  }
  absl::StatusOr<std::vector<PackId>> ListPacks() override {
    return real_->ListPacks();
  }
  absl::StatusOr<std::vector<SnapshotPack>> CopyTo(
      const std::string& path) override {
    return real_->CopyTo(path);
  }
  absl::StatusOr<std::vector<PackUsage>> ListPackUsage() override {
    return real_->ListPackUsage();
  }
  absl::StatusOr<std::vector<PlacedBlob>> ListBlobs(
      const PackId& pack) override {
    return real_->ListBlobs(pack);
  }
  absl::StatusOr<std::vector<PackId>> MoveBlobs(
      const NewPack& to, absl::Span<const PackId> from) override {
    return real_->MoveBlobs(to, from);
  }
  absl::Status Settle() override { return real_->Settle(); }
  absl::StatusOr<CatalogSpace> MeasureSpace() override {
    return real_->MeasureSpace();
  }
  absl::StatusOr<BlobTotals> CountBlobs() override {
    return real_->CountBlobs();
  }
  absl::StatusOr<std::vector<BlobLocation>> NextBlobs(BlobCursor& cursor,
                                                      int limit) override {
    return real_->NextBlobs(cursor, limit);
  }
  absl::StatusOr<int64_t> MarkDamaged(absl::Span<const BlobLocation> blobs,
                                      absl::Time damage_time) override {
    return real_->MarkDamaged(blobs, damage_time);
  }
  absl::StatusOr<int64_t> MarkIntact(
      absl::Span<const BlobLocation> blobs) override {
    return real_->MarkIntact(blobs);
  }
  absl::StatusOr<Damage> FindDamage(const DamageLimits& limits) override {
    return real_->FindDamage(limits);
  }
  absl::StatusOr<CatalogCheck> Check(
      absl::FunctionRef<void(std::string)> finding) override {
    return real_->Check(finding);
  }

 private:
  const std::unique_ptr<Catalog> real_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_TESTS_STORE_INTERRUPTED_CATALOG_H_
