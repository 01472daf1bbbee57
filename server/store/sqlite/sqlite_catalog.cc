#include "server/store/sqlite/sqlite_catalog.h"

#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "server/base/status_macros.h"
#include "server/store/errors.h"
#include "server/store/placement.h"
#include "server/store/sqlite/sqlite_architectures.h"
#include "server/store/sqlite/sqlite_blobs.h"
#include "server/store/sqlite/sqlite_check.h"
#include "server/store/sqlite/sqlite_checkpointer.h"
#include "server/store/sqlite/sqlite_checkpoints.h"
#include "server/store/sqlite/sqlite_copy.h"
#include "server/store/sqlite/sqlite_damage.h"
#include "server/store/sqlite/sqlite_db.h"
#include "server/store/sqlite/sqlite_known_blobs.h"
#include "server/store/sqlite/sqlite_manifest.h"
#include "server/store/sqlite/sqlite_packs.h"
#include "server/store/sqlite/sqlite_pool.h"
#include "server/store/sqlite/sqlite_retention.h"
#include "server/store/sqlite/sqlite_schema.h"
#include "server/store/sqlite/sqlite_usage.h"

namespace warmstart::store {
namespace {

constexpr int kMaxReaders = 8;

// The sequence of the checkpoint that a request made.
absl::StatusOr<std::optional<int64_t>> FindRequestRow(
    SqliteDb& db, const std::string& request_id, const Digest& fingerprint) {
  std::optional<int64_t> sequence;
  if (request_id.empty()) return sequence;
  SqliteQuery query = db.Query(
      "SELECT fingerprint, checkpoint FROM requests WHERE request_id = ?",
      request_id);
  if (query.Next()) {
    if (query.Text(0) != fingerprint.bytes()) {
      return RequestIdReused(request_id);
    }
    sequence = query.Int(1);
  }
  RETURN_IF_ERROR(query.status());
  return sequence;
}

// What ReadCheckpoint would give for rows that were written a moment ago.
Checkpoint Written(const CheckpointName& name, absl::Time create_time,
                   int64_t num_bytes, const NewCheckpoint& checkpoint) {
  Checkpoint written;
  written.name = name;
  written.architecture = checkpoint.architecture;
  written.create_time = absl::FromUnixNanos(absl::ToUnixNanos(create_time));
  written.labels = checkpoint.labels;
  if (checkpoint.alias.has_value()) written.aliases = {*checkpoint.alias};
  written.num_tensors =
      static_cast<int64_t>(checkpoint.manifest.entries.size());
  written.num_bytes = num_bytes;
  written.report_json = checkpoint.report_json;
  written.origin_json = checkpoint.origin_json;
  const std::optional<absl::Time> expire_time =
      ExpireTime(checkpoint.expiration, create_time);
  if (expire_time.has_value()) {
    written.expire_time = absl::FromUnixNanos(absl::ToUnixNanos(*expire_time));
  }
  return written;
}

}  // namespace

absl::StatusOr<CommitResult> CommitRows(SqliteDb& db,
                                        const CheckpointName& name,
                                        absl::Time create_time,
                                        const NewCheckpoint& checkpoint,
                                        const NewBlobs& new_blobs,
                                        SqliteKnownBlobs& known) {
  CommitResult result;
  ASSIGN_OR_RETURN(const std::optional<int64_t> earlier,
                   FindRequestRow(db, checkpoint.request_id,
                                  checkpoint.request_fingerprint));
  if (earlier.has_value()) {
    for (const NewPack& pack : new_blobs.packs) {
      result.unused_packs.push_back(pack.id);
    }
    ASSIGN_OR_RETURN(result.checkpoint, ReadCheckpoint(db, *earlier));
    return result;
  }
  const absl::flat_hash_set<Digest> needed = DigestsOf(checkpoint.manifest);
  PackRows left;
  RETURN_IF_ERROR(AddSmallBlobs(db, new_blobs.small, needed, left));
  ASSIGN_OR_RETURN(result.unused_packs,
                   AddPacks(db, new_blobs.packs, needed, left));
  ASSIGN_OR_RETURN(result.emptied_packs, RemoveEmptyPacks(db, left));
  ASSIGN_OR_RETURN(const ManifestBlobs blobs,
                   ResolveBlobs(db, checkpoint.manifest, known));
  ASSIGN_OR_RETURN(
      const int64_t sequence,
      InsertCheckpoint(db, name, create_time, blobs.num_bytes, checkpoint));
  RETURN_IF_ERROR(InsertManifest(db, sequence, checkpoint.manifest, blobs));
  RETURN_IF_ERROR(AddReferences(db, blobs.Distinct()));
  result.checkpoint = Written(name, create_time, blobs.num_bytes, checkpoint);
  return result;
}

namespace {

absl::StatusOr<std::vector<PackId>> DeleteRows(SqliteDb& db,
                                               const CheckpointName& name,
                                               bool force) {
  ASSIGN_OR_RETURN(const int64_t sequence, FindCheckpoint(db, name));
  ASSIGN_OR_RETURN(const std::vector<AliasName> aliases,
                   ReadAliases(db, sequence));
  if (!aliases.empty() && !force) return CheckpointInUse(name, aliases);
  ASSIGN_OR_RETURN(const std::optional<ArchitectureName> architecture,
                   FindInitializedBy(db, sequence));
  if (architecture.has_value()) return InitialValuesInUse(name, *architecture);
  RETURN_IF_ERROR(db.Run("DELETE FROM aliases WHERE checkpoint = ?", sequence));
  ASSIGN_OR_RETURN(const std::vector<int64_t> blobs,
                   ReferencedBlobs(db, sequence));
  // The rows of all other tables go with it.
  RETURN_IF_ERROR(
      db.Run("DELETE FROM checkpoints WHERE sequence = ?", sequence));
  return DropReferences(db, blobs);
}

absl::StatusOr<std::optional<RemovedCheckpoint>> DeleteRetiredRows(
    SqliteDb& db, const CheckpointName& name, const RetentionPolicy& policy) {
  const absl::StatusOr<int64_t> sequence = FindCheckpoint(db, name);
  if (absl::IsNotFound(sequence.status())) return std::nullopt;
  RETURN_IF_ERROR(sequence.status());
  ASSIGN_OR_RETURN(std::optional<RetiredCheckpoint> retired,
                   CheckRetired(db, *sequence, policy));
  if (!retired.has_value()) return std::nullopt;
  RemovedCheckpoint removed{.checkpoint = *std::move(retired)};
  ASSIGN_OR_RETURN(removed.unused_packs, DeleteRows(db, name, /*force=*/false));
  return removed;
}

absl::StatusOr<Alias> DecodeAlias(absl::string_view name,
                                  absl::string_view checkpoint,
                                  int64_t update_time) {
  ASSIGN_OR_RETURN(AliasName alias, AliasName::Parse(name));
  ASSIGN_OR_RETURN(CheckpointName target, CheckpointName::Parse(absl::StrCat(
                                              "checkpoints/", checkpoint)));
  return Alias{std::move(alias), std::move(target),
               absl::FromUnixNanos(update_time)};
}

class SqliteCatalog final : public Catalog {
 public:
  SqliteCatalog(std::unique_ptr<SqliteDb> writer,
                std::unique_ptr<SqliteCheckpointer> checkpointer,
                std::unique_ptr<SqliteUsage> usage, const StoreLimits& limits)
      : path_(writer->path()),
        quota_(limits),
        readers_(path_, kMaxReaders),
        checkpointer_(std::move(checkpointer)),
        usage_(std::move(usage)),
        writer_(std::move(writer)) {
    writer_->SetCommitHook(
        [this](int log_pages) { checkpointer_->OnCommit(log_pages); });
  }

  absl::StatusOr<CommitResult> Commit(
      const CheckpointName& name, absl::Time create_time,
      const NewCheckpoint& checkpoint, const NewBlobs& blobs,
      absl::FunctionRef<absl::Status()> wait_for_packs) override {
    const auto commit = [&](SqliteDb& db) -> absl::StatusOr<CommitResult> {
      mutex_.AssertHeld();
      ASSIGN_OR_RETURN(
          CommitResult result,
          CommitRows(db, name, create_time, checkpoint, blobs, known_blobs_));
      RETURN_IF_ERROR(quota_.CheckChange(usage_->pending(), blobs.reservation));
      RETURN_IF_ERROR(wait_for_packs());
      return result;
    };
    return Write(commit, blobs.reservation);
  }

  absl::StatusOr<std::vector<PackId>> DeleteCheckpoint(
      const CheckpointName& name, bool force) override {
    return Write([&](SqliteDb& db) {
      mutex_.AssertHeld();
      known_blobs_.Forget();
      return DeleteRows(db, name, force);
    });
  }

  absl::Status CheckExists(const CheckpointName& name) override {
    return Read(
        [&](SqliteDb& db) { return FindCheckpoint(db, name).status(); });
  }

  absl::StatusOr<CheckpointName> ResolveAlias(const AliasName& alias) override {
    return Read([&](SqliteDb& db) -> absl::StatusOr<CheckpointName> {
      ASSIGN_OR_RETURN(
          const std::optional<int64_t> sequence,
          db.FindInt("SELECT checkpoint FROM aliases WHERE name = ?",
                     alias.id()));
      if (!sequence.has_value()) return AliasNotFound(alias);
      return ReadCheckpointName(db, *sequence);
    });
  }

  absl::StatusOr<Checkpoint> GetCheckpoint(
      const CheckpointName& name) override {
    return Read([&](SqliteDb& db) -> absl::StatusOr<Checkpoint> {
      ASSIGN_OR_RETURN(const int64_t sequence, FindCheckpoint(db, name));
      return ReadCheckpoint(db, sequence);
    });
  }

  absl::StatusOr<Manifest> GetManifest(const CheckpointName& name) override {
    return Read([&](SqliteDb& db) -> absl::StatusOr<Manifest> {
      ASSIGN_OR_RETURN(const int64_t sequence, FindCheckpoint(db, name));
      return ReadManifest(db, sequence);
    });
  }

  absl::StatusOr<Checkpoint> UpdateCheckpoint(const CheckpointName& name,
                                              const CheckpointUpdate& update,
                                              absl::Time now) override {
    return Write([&](SqliteDb& db) -> absl::StatusOr<Checkpoint> {
      ASSIGN_OR_RETURN(const int64_t sequence, FindCheckpoint(db, name));
      RETURN_IF_ERROR(UpdateCheckpointRow(db, sequence, update, now));
      return ReadCheckpoint(db, sequence);
    });
  }

  absl::StatusOr<std::vector<RetiredCheckpoint>> FindRetired(
      const RetentionPolicy& policy, int limit) override {
    return Read(
        [&](SqliteDb& db) { return FindRetiredRows(db, policy, limit); });
  }

  absl::StatusOr<std::optional<RemovedCheckpoint>> DeleteRetired(
      const CheckpointName& name, const RetentionPolicy& policy) override {
    return Write([&](SqliteDb& db) {
      mutex_.AssertHeld();
      known_blobs_.Forget();
      return DeleteRetiredRows(db, name, policy);
    });
  }

  Quota& quota() override { return quota_; }

  absl::StatusOr<ListedCheckpoints> ListCheckpoints(
      const CheckpointFilter& filter, int64_t before, int limit) override {
    return Read([&](SqliteDb& db) {
      return ListCheckpointRows(db, filter, before, limit);
    });
  }

  absl::StatusOr<Alias> SetAlias(const AliasName& alias,
                                 const CheckpointName& checkpoint,
                                 absl::Time update_time) override {
    return Write([&](SqliteDb& db) -> absl::StatusOr<Alias> {
      ASSIGN_OR_RETURN(const int64_t sequence, FindCheckpoint(db, checkpoint));
      RETURN_IF_ERROR(PutAlias(db, alias, sequence, update_time));
      return Alias{alias, checkpoint, update_time};
    });
  }

  absl::Status DeleteAlias(const AliasName& alias) override {
    return Write([&](SqliteDb& db) -> absl::Status {
      RETURN_IF_ERROR(db.Run("DELETE FROM aliases WHERE name = ?", alias.id()));
      return db.num_changes() > 0 ? absl::OkStatus() : AliasNotFound(alias);
    });
  }

  absl::StatusOr<std::vector<Alias>> ListAliases(const std::string& after,
                                                 int limit) override {
    return Read([&](SqliteDb& db) -> absl::StatusOr<std::vector<Alias>> {
      SqliteQuery query = db.Query(
          "SELECT a.name, c.name, a.update_time FROM aliases a "
          "CROSS JOIN checkpoints c ON c.sequence = a.checkpoint "
          "WHERE a.name > ? ORDER BY a.name LIMIT ?",
          after, limit);
      std::vector<Alias> aliases;
      while (query.Next()) {
        absl::StatusOr<Alias> alias =
            DecodeAlias(query.Text(0), query.Text(1), query.Int(2));
        if (!alias.ok()) return Corrupt(alias.status());
        aliases.push_back(*std::move(alias));
      }
      RETURN_IF_ERROR(query.status());
      return aliases;
    });
  }

  absl::StatusOr<int64_t> PutArchitecture(
      const Architecture& architecture) override {
    return Write(
        [&](SqliteDb& db) { return PutArchitectureRows(db, architecture); });
  }

  absl::StatusOr<int64_t> PreviewArchitecture(
      const Architecture& architecture) override {
    return Read([&](SqliteDb& db) -> absl::StatusOr<int64_t> {
      ASSIGN_OR_RETURN(const ArchitectureVersion version,
                       ChooseVersion(db, architecture));
      return version.number;
    });
  }

  absl::StatusOr<Architecture> GetArchitecture(
      const ArchitectureName& name) override {
    return Read([&](SqliteDb& db) { return ReadArchitecture(db, name); });
  }

  absl::StatusOr<std::vector<Architecture>> ListArchitectures(
      const std::string& after, int limit) override {
    return Read([&](SqliteDb& db) {
      return ReadNewestArchitectures(db, after, limit);
    });
  }

  absl::StatusOr<std::vector<Architecture>> ListArchitectureVersions(
      const ArchitectureName& name, int64_t before, int limit) override {
    return Read([&](SqliteDb& db) {
      return ReadArchitectureVersions(db, name, before, limit);
    });
  }

  absl::Status DeleteArchitecture(const ArchitectureName& name,
                                  bool force) override {
    return Write(
        [&](SqliteDb& db) { return DeleteArchitectureRows(db, name, force); });
  }

  absl::StatusOr<std::optional<CheckpointName>> FindRequest(
      const std::string& request_id, const Digest& fingerprint) override {
    using Result = absl::StatusOr<std::optional<CheckpointName>>;
    return Read([&](SqliteDb& db) -> Result {
      ASSIGN_OR_RETURN(const std::optional<int64_t> sequence,
                       FindRequestRow(db, request_id, fingerprint));
      if (!sequence.has_value()) return std::nullopt;
      return ReadCheckpointName(db, *sequence);
    });
  }

  absl::StatusOr<std::vector<std::optional<BlobLocation>>> FindBlobs(
      absl::Span<const Digest> digests) override {
    using Result = absl::StatusOr<std::vector<std::optional<BlobLocation>>>;
    return Read([&](SqliteDb& db) -> Result {
      std::vector<std::optional<BlobLocation>> locations;
      locations.reserve(digests.size());
      for (const Digest& digest : digests) {
        ASSIGN_OR_RETURN(locations.emplace_back(), FindBlob(db, digest));
      }
      return locations;
    });
  }

  absl::StatusOr<std::string> ReadBlob(const Digest& digest) override {
    return Read([&](SqliteDb& db) { return ReadSmallBlob(db, digest); });
  }

  absl::StatusOr<std::vector<PackId>> ListPacks() override {
    return Read([&](SqliteDb& db) -> absl::StatusOr<std::vector<PackId>> {
      SqliteQuery query = db.Query("SELECT name FROM packs");
      std::vector<PackId> packs;
      while (query.Next()) packs.push_back(query.String(0));
      RETURN_IF_ERROR(query.status());
      return packs;
    });
  }

  absl::StatusOr<std::vector<SnapshotPack>> CopyTo(
      const std::string& path) override {
    return CopySqliteCatalog(path_, path);
  }

  absl::StatusOr<std::vector<PackUsage>> ListPackUsage() override {
    return Read([&](SqliteDb& db) { return ReadPackUsage(db); });
  }

  absl::StatusOr<std::vector<PlacedBlob>> ListBlobs(
      const PackId& pack) override {
    return Read([&](SqliteDb& db) { return ReadBlobsIn(db, pack); });
  }

  // What is known of blobs stays true: their rows stay the same.
  absl::StatusOr<std::vector<PackId>> MoveBlobs(
      const NewPack& to, absl::Span<const PackId> from) override {
    return Write([&](SqliteDb& db) { return MoveBlobRows(db, to, from); });
  }

  // The log goes on where a commit of unknown outcome had begun to write.
  absl::Status Settle() override {
    return Write([&](SqliteDb& db) { return WriteSomething(db); });
  }

  absl::StatusOr<CatalogSpace> MeasureSpace() override {
    return Read([&](SqliteDb& db) { return ReadSpace(db); });
  }

  absl::StatusOr<BlobTotals> CountBlobs() override {
    return Read([](SqliteDb& db) { return CountBlobRows(db); });
  }

  absl::StatusOr<std::vector<BlobLocation>> NextBlobs(BlobCursor& cursor,
                                                      int limit) override {
    return Read([&](SqliteDb& db) { return NextBlobRows(db, cursor, limit); });
  }

  absl::StatusOr<int64_t> MarkDamaged(absl::Span<const BlobLocation> blobs,
                                      absl::Time damage_time) override {
    return Write([&](SqliteDb& db) {
      mutex_.AssertHeld();
      known_blobs_.Forget();
      return MarkDamagedRows(db, blobs, damage_time);
    });
  }

  absl::StatusOr<int64_t> MarkIntact(
      absl::Span<const BlobLocation> blobs) override {
    return Write([&](SqliteDb& db) { return MarkIntactRows(db, blobs); });
  }

  absl::StatusOr<Damage> FindDamage(const DamageLimits& limits) override {
    return Read([&](SqliteDb& db) { return ReadDamage(db, limits); });
  }

  absl::StatusOr<CatalogCheck> Check(
      absl::FunctionRef<void(std::string)> finding) override {
    return Read([&](SqliteDb& db) { return CheckRows(db, finding); });
  }

 private:
  static absl::Status StatusOf(const absl::Status& status) { return status; }
  template <typename T>
  static absl::Status StatusOf(const absl::StatusOr<T>& result) {
    return result.status();
  }

  static absl::Status Corrupt(const absl::Status& status) {
    return absl::DataLossError(
        absl::StrCat("the catalog is corrupt: ", status.message()));
  }

  // Runs `read` on one state of the catalog.
  template <typename F>
  std::invoke_result_t<F, SqliteDb&> Read(F read) {
    ASSIGN_OR_RETURN(const SqlitePool::Lease lease, readers_.Acquire());
    SqliteTransaction snapshot(*lease);
    RETURN_IF_ERROR(snapshot.BeginRead());
    return read(*lease);
  }

  // Runs `write` in a transaction, which is rolled back when it fails. What it
  // stores takes the place of `reserved`, if that is not null.
  template <typename F>
  std::invoke_result_t<F, SqliteDb&> Write(
      F write, Quota::Reservation* reserved = nullptr)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    std::invoke_result_t<F, SqliteDb&> result = WriteLocked(write);
    const UsageChange change = usage_->Take();
    if (StatusOf(result).ok()) {
      quota_.Apply(change, reserved);
    } else {
      known_blobs_.Forget();
    }
    return result;
  }

  template <typename F>
  std::invoke_result_t<F, SqliteDb&> WriteLocked(F& write)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    SqliteTransaction transaction(*writer_);
    RETURN_IF_ERROR(transaction.BeginWrite());
    std::invoke_result_t<F, SqliteDb&> result = write(*writer_);
    RETURN_IF_ERROR(StatusOf(result));
    RETURN_IF_ERROR(transaction.Commit());
    return result;
  }

  const std::string path_;
  Quota quota_;
  SqlitePool readers_;
  const std::unique_ptr<SqliteCheckpointer> checkpointer_;
  absl::Mutex mutex_;
  const std::unique_ptr<SqliteUsage> usage_ ABSL_PT_GUARDED_BY(mutex_);
  const std::unique_ptr<SqliteDb> writer_ ABSL_PT_GUARDED_BY(mutex_);
  SqliteKnownBlobs known_blobs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<Catalog>> OpenSqliteCatalog(
    const std::string& path, const StoreLimits& limits) {
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteDb> writer,
                   SqliteDb::OpenForWriting(path));
  RETURN_IF_ERROR(MigrateSqliteSchema(*writer));
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteUsage> usage,
                   SqliteUsage::Track(*writer));
  ASSIGN_OR_RETURN(const UsageChange stored, SqliteUsage::Measure(*writer));
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteCheckpointer> checkpointer,
                   SqliteCheckpointer::Start(path));
  auto catalog = std::make_unique<SqliteCatalog>(
      std::move(writer), std::move(checkpointer), std::move(usage), limits);
  catalog->quota().Apply(stored, nullptr);
  return catalog;
}

}  // namespace warmstart::store
