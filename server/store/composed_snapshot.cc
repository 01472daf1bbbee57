#include "server/store/composed_snapshot.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/base/status_macros.h"

namespace warmstart::store {
namespace {

class ComposedSnapshot final : public Snapshot {
 public:
  ComposedSnapshot(PackStore& pack_store, std::unique_ptr<PackHold> hold,
                   absl::Time time, std::unique_ptr<StagedPack> file)
      : pack_store_(pack_store),
        hold_(std::move(hold)),
        time_(time),
        file_(std::move(file)) {}

  // Once, before anything else.
  absl::Status Fill(Catalog& catalog) {
    ASSIGN_OR_RETURN(packs_, catalog.CopyTo(file_->path()));
    ASSIGN_OR_RETURN(catalog_, file_->Finish());
    return absl::OkStatus();
  }

  absl::Time time() const override { return time_; }
  absl::string_view catalog() const override { return catalog_; }
  const std::vector<SnapshotPack>& packs() const override { return packs_; }

  absl::StatusOr<BlobData> OpenPack(const SnapshotPack& pack) override {
    return pack_store_.Read(pack.name, 0, pack.num_bytes);
  }

 private:
  PackStore& pack_store_;
  const std::unique_ptr<PackHold> hold_;
  const absl::Time time_;
  // In staging/, which it leaves with this object, or at the next start.
  const std::unique_ptr<StagedPack> file_;
  absl::string_view catalog_;
  std::vector<SnapshotPack> packs_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Snapshot>> TakeComposedSnapshot(PackStore& packs,
                                                               Catalog& catalog,
                                                               Clock& clock) {
  // Before the copy: a pack that the copy names is removed, if at all, after a
  // transaction that comes after it, and so while it is held.
  std::unique_ptr<PackHold> hold = packs.Hold();
  const absl::Time time = clock.Now();
  ASSIGN_OR_RETURN(std::unique_ptr<StagedPack> file, packs.Stage());
  auto snapshot = std::make_unique<ComposedSnapshot>(packs, std::move(hold),
                                                     time, std::move(file));
  RETURN_IF_ERROR(snapshot->Fill(catalog));
  return snapshot;
}

}  // namespace warmstart::store
