#include "server/service/backup.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/store/random_id.h"

namespace warmstart::service {
namespace {

absl::Status LostPack(const absl::Status& status,
                      const store::SnapshotPack& pack) {
  return WithErrorInfo(
      absl::Status(
          status.code(),
          absl::StrCat(status.message(),
                       "; a backup needs it, unless an earlier one has it: "
                       "delete the checkpoints whose tensors are lost")),
      reason::kDataLoss, {{"pack", pack.name}});
}

}  // namespace

absl::Status HeldPacks::Add(absl::string_view name, int64_t num_bytes,
                            bool partial) {
  if (!store::IsRandomId(name)) {
    return InvalidField("held_packs.name",
                        absl::StrCat("'", name, "' is no pack's name"));
  }
  if (num_bytes < 0) {
    return InvalidField("held_packs.size_bytes",
                        absl::StrCat(num_bytes, " is negative"));
  }
  if (packs_.size() >= kMaxPacks) {
    return InvalidField("held_packs",
                        absl::StrCat("more than ", kMaxPacks,
                                     "; back up into an empty folder"));
  }
  packs_[name] = {num_bytes, partial};
  return absl::OkStatus();
}

bool HeldPacks::HasAll(const store::SnapshotPack& pack) const {
  const auto found = packs_.find(pack.name);
  return found != packs_.end() && !found->second.partial &&
         found->second.num_bytes == pack.num_bytes;
}

int64_t HeldPacks::OffsetIn(const store::SnapshotPack& pack) const {
  const auto found = packs_.find(pack.name);
  const bool goes_on = found != packs_.end() && found->second.partial &&
                       found->second.num_bytes <= pack.num_bytes;
  return goes_on ? found->second.num_bytes : 0;
}

absl::StatusOr<std::unique_ptr<Backup>> Backup::Begin(const Context& context,
                                                      const HeldPacks& held) {
  ASSIGN_OR_RETURN(std::unique_ptr<store::Snapshot> snapshot,
                   context.store->TakeSnapshot());
  auto backup = std::unique_ptr<Backup>(new Backup(std::move(snapshot)));
  backup->Divide(held);
  return backup;
}

void Backup::Divide(const HeldPacks& held) {
  bytes_to_send_ = catalog_bytes();
  for (const store::SnapshotPack& pack : snapshot_->packs()) {
    pack_bytes_ += pack.num_bytes;
    if (held.HasAll(pack)) {
      kept_.push_back(pack.name);
      continue;
    }
    missing_.push_back({&pack, held.OffsetIn(pack)});
    bytes_to_send_ += pack.num_bytes - missing_.back().offset;
  }
}

absl::StatusOr<std::optional<BackupFile>> Backup::NextFile() {
  if (next_ > missing_.size()) return std::nullopt;
  if (next_ == missing_.size()) {
    ++next_;
    pack_ = {};
    BeginFile(snapshot_->catalog(), /*offset=*/0);
    return BackupFile{.num_bytes = catalog_bytes()};
  }
  const auto& [pack, offset] = missing_[next_++];
  absl::StatusOr<store::BlobData> data = snapshot_->OpenPack(*pack);
  if (!data.ok()) return LostPack(data.status(), *pack);
  pack_ = *std::move(data);
  BeginFile(pack_.bytes, offset);
  return BackupFile{pack->name, pack->num_bytes, offset};
}

void Backup::BeginFile(absl::string_view bytes, int64_t offset) {
  hasher_ = Hasher();
  hasher_.Update(bytes.substr(0, offset));
  rest_ = bytes.substr(offset);
}

absl::string_view Backup::Read(size_t max_bytes) {
  const absl::string_view bytes = rest_.substr(0, max_bytes);
  rest_.remove_prefix(bytes.size());
  hasher_.Update(bytes);
  return bytes;
}

}  // namespace warmstart::service
