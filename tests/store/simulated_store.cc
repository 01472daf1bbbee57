#include "tests/store/simulated_store.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"
#include "server/store/composed_store.h"
#include "server/store/local/local_pack_store.h"
#include "server/store/local/paths.h"
#include "server/store/sqlite/sqlite_catalog.h"
#include "server/store/sqlite/sqlite_db.h"
#include "server/store/uploads/upload_store.h"
#include "tests/store/store_test_util.h"

namespace warmstart::store {
namespace {

// Saved and deleted by CheckWorks: one that becomes a pack, one that does not.
const Tensors kTrials[] = {{{"trial", RandomBytes(140'000, 90)}},
                           {{"small trial", RandomBytes(100, 91)}}};

absl::StatusOr<std::string> DescribeTensors(Store& store,
                                            const CheckpointName& name) {
  ASSIGN_OR_RETURN(const auto manifest, store.GetManifest(name));
  std::string text;
  for (const ManifestEntry& entry : manifest->entries) {
    const absl::StatusOr<BlobData> data = store.OpenBlob(entry.digest);
    if (absl::IsDataLoss(data.status())) {
      absl::StrAppend(&text, " ", entry.key, "=lost");
      continue;
    }
    RETURN_IF_ERROR(data.status());
    if (Digest::Of(data->bytes) != entry.digest) {
      return absl::DataLossError(absl::StrCat(entry.key, " has other bytes"));
    }
    absl::StrAppend(&text, " ", entry.key, "=", entry.digest.ToHex());
  }
  return text;
}

absl::StatusOr<std::string> DescribeCheckpoint(Store& store,
                                               const Checkpoint& checkpoint) {
  ASSIGN_OR_RETURN(const std::string tensors,
                   DescribeTensors(store, checkpoint.name));
  const auto append_alias = [](std::string* out, const AliasName& alias) {
    absl::StrAppend(out, alias.ToString());
  };
  const std::string architecture = checkpoint.architecture.has_value()
                                       ? checkpoint.architecture->ToString()
                                       : "";
  return absl::StrCat(
      "checkpoint of ", architecture, " report ", checkpoint.report_json,
      " labels ",
      absl::StrJoin(checkpoint.labels, ",", absl::PairFormatter(":")),
      " aliases ", absl::StrJoin(checkpoint.aliases, ",", append_alias),
      " expires ",
      absl::FormatTime(checkpoint.expire_time.value_or(absl::InfiniteFuture())),
      " bytes ", checkpoint.num_bytes, tensors, "\n");
}

// Sorted, as their names are drawn at random.
absl::StatusOr<std::string> DescribeUploads(Store& store) {
  ASSIGN_OR_RETURN(const UploadPage page, store.uploads().List(0, ""));
  std::set<std::string> lines;
  for (const Upload& each : page.uploads) {
    ASSIGN_OR_RETURN(const Upload upload,
                     store.uploads().GetWithDigests(each.name));
    std::string line = "upload";
    for (const UploadFile& file : upload.files) {
      absl::StrAppend(&line, " ", file.name, " ", file.committed_bytes, " of ",
                      file.num_bytes, " ", file.digest->ToHex());
    }
    lines.insert(line);
  }
  return absl::StrCat(absl::StrJoin(lines, "\n"), "\n");
}

}  // namespace

SimulatedStore::SimulatedStore(std::unique_ptr<testing::SimulatedDisk> disk)
    : disk_(std::move(disk)), vfs_(*disk_) {}

// As Store::Open does, but for the lock, which only a real disk can hold.
absl::Status SimulatedStore::Open() {
  const StorePaths paths(kDataDir);
  RETURN_IF_ERROR(disk_->CreateDirectory(paths.DataDir()));
  StoreParts parts;
  parts.clock = &SystemClock();
  ASSIGN_OR_RETURN(parts.catalog, OpenSqliteCatalog(paths.Catalog()));
  ASSIGN_OR_RETURN(parts.packs, OpenLocalPackStore(paths, *disk_));
  ASSIGN_OR_RETURN(parts.uploads,
                   UploadStore::Open(paths, *disk_, parts.catalog->quota(),
                                     SystemClock(), absl::Hours(24)));
  ASSIGN_OR_RETURN(store_, ComposeStore(std::move(parts)));
  return absl::OkStatus();
}

absl::Status SimulatedStore::Spoil(const std::string& bytes) {
  const StorePaths paths(kDataDir);
  ASSIGN_OR_RETURN(const std::unique_ptr<SqliteDb> db,
                   SqliteDb::Open(paths.Catalog()));
  RETURN_IF_ERROR(
      db->Run("UPDATE small_blobs SET bytes = zeroblob(?1) "
              "WHERE bytes = ?2",
              bytes.size(), SqliteBytes{bytes}));
  if (db->num_changes() > 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<std::string> packs,
                   disk_->List(paths.PacksDir()));
  for (const std::string& pack : packs) {
    ASSIGN_OR_RETURN(const auto file, disk_->Map(paths.Pack(pack)));
    const size_t offset = file->bytes().find(bytes);
    if (offset == absl::string_view::npos) continue;
    std::shared_ptr<testing::SimulatedDisk::Inode> inode;
    disk_->Open(paths.Pack(pack), /*create=*/false, inode);
    disk_->Write(*inode, static_cast<int64_t>(offset), "spoilt");
    disk_->Sync(*inode);
    return absl::OkStatus();
  }
  return absl::NotFoundError("there are no such bytes");
}

absl::StatusOr<std::string> SimulatedStore::Describe() {
  std::string text;
  ASSIGN_OR_RETURN(const CheckpointPage checkpoints,
                   store_->ListCheckpoints({}));
  for (const Checkpoint& checkpoint : checkpoints.checkpoints) {
    ASSIGN_OR_RETURN(const std::string described,
                     DescribeCheckpoint(*store_, checkpoint));
    absl::StrAppend(&text, described);
  }
  ASSIGN_OR_RETURN(const ArchitecturePage architectures,
                   store_->ListArchitectures(0, ""));
  for (const Architecture& architecture : architectures.architectures) {
    absl::StrAppend(&text, "architecture ", architecture.name, "\n");
  }
  ASSIGN_OR_RETURN(const std::string uploads, DescribeUploads(*store_));
  absl::StrAppend(&text, uploads);
  ASSIGN_OR_RETURN(const auto request, store_->FindRequest("r1", Digest()));
  absl::StrAppend(&text, "request ", request.has_value(), "\n");
  return text;
}

absl::Status SimulatedStore::CheckSound() {
  return CheckDisk(kDataDir, *disk_);
}

absl::Status SimulatedStore::CheckWorks() {
  ASSIGN_OR_RETURN(const std::string before, Describe());
  for (const Tensors& trial : kTrials) {
    ASSIGN_OR_RETURN(const Checkpoint saved, Save(*store_, trial));
    RETURN_IF_ERROR(CheckReadable(*store_, saved.name, trial));
    RETURN_IF_ERROR(store_->DeleteCheckpoint(saved.name, /*force=*/false));
  }
  ASSIGN_OR_RETURN(const std::string after, Describe());
  if (after == before) return absl::OkStatus();
  return absl::InternalError("a save and its deletion changed the store");
}

}  // namespace warmstart::store
