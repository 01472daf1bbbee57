#include "tests/store/store_test_util.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/store/local/paths.h"
#include "server/store/sqlite/sqlite_db.h"
#include "server/store/uploads/upload_store.h"

namespace warmstart::store {
namespace {

constexpr size_t kAlignment = 64;

NewCheckpoint WithManifest(NewCheckpoint request, const Tensors& tensors) {
  request.manifest = ManifestOf(tensors);
  return request;
}

// DATA_LOSS, with `what`, where the query finds something.
absl::Status CheckFindsNothing(SqliteDb& db, const std::string& what,
                               const char* sql) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> found, db.FindInt(sql));
  if (!found.has_value()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(what, ": ", *found));
}

absl::Status CheckRows(SqliteDb& db) {
  RETURN_IF_ERROR(CheckFindsNothing(
      db, "a blob that no checkpoint references",
      "SELECT id FROM blobs b WHERE num_bytes > 0 "
      "AND NOT EXISTS (SELECT 1 FROM entries WHERE blob = b.id) "
      "AND NOT EXISTS (SELECT 1 FROM storages WHERE blob = b.id)"));
  RETURN_IF_ERROR(CheckFindsNothing(
      db, "a blob whose references are miscounted",
      "SELECT id FROM blobs b WHERE num_references <> (SELECT count(*) FROM ("
      "SELECT checkpoint FROM entries WHERE blob = b.id UNION "
      "SELECT checkpoint FROM storages WHERE blob = b.id))"));
  RETURN_IF_ERROR(CheckFindsNothing(
      db, "a tensor whose blob is not there",
      "SELECT checkpoint FROM (SELECT checkpoint, blob FROM entries UNION "
      "SELECT checkpoint, blob FROM storages) "
      "WHERE blob NOT IN (SELECT id FROM blobs)"));
  RETURN_IF_ERROR(CheckFindsNothing(
      db, "a pack without a blob",
      "SELECT id FROM packs p "
      "WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE pack = p.id)"));
  RETURN_IF_ERROR(CheckFindsNothing(
      db, "a blob outside its pack",
      "SELECT b.id FROM blobs b JOIN packs p ON p.id = b.pack "
      "WHERE b.offset < 0 OR b.offset + b.num_bytes > p.num_bytes"));
  RETURN_IF_ERROR(CheckFindsNothing(
      db, "a blob that lies in two places, or nowhere",
      "SELECT b.id FROM blobs b LEFT JOIN small_blobs s ON s.blob = b.id "
      "WHERE (b.pack IS NOT NULL) + (s.blob IS NOT NULL) <> (b.num_bytes > "
      "0)"));
  RETURN_IF_ERROR(CheckFindsNothing(
      db, "a small blob that lacks bytes",
      "SELECT b.id FROM blobs b JOIN small_blobs s ON s.blob = b.id "
      "WHERE length(s.bytes) <> b.num_bytes"));
  RETURN_IF_ERROR(CheckFindsNothing(db, "a foreign key that points nowhere",
                                    "SELECT 1 FROM pragma_foreign_key_check"));
  SqliteQuery query = db.Query("PRAGMA integrity_check");
  const bool is_intact = query.Next() && query.Text(0) == "ok";
  RETURN_IF_ERROR(query.status());
  return is_intact ? absl::OkStatus() : absl::DataLossError("integrity_check");
}

// That what is in uploads/ is a journal, or belongs to one.
absl::Status CheckUploads(const StorePaths& paths, FileSystem& file_system) {
  ASSIGN_OR_RETURN(const std::vector<std::string> files,
                   file_system.List(paths.UploadsDir()));
  const absl::flat_hash_set<std::string> all(files.begin(), files.end());
  for (const std::string& file : files) {
    const std::string id = file.substr(0, file.find('.'));
    if (!all.contains(absl::StrCat(id, ".journal"))) {
      return absl::InternalError(
          absl::StrCat("uploads/", file, " is nobody's"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string RandomBytes(size_t size, uint32_t seed) {
  std::mt19937 generator(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(generator());
  return bytes;
}

Blob BlobOf(absl::string_view bytes) {
  const Digest digest = Digest::Of(bytes);
  uint32_t crc32 = 0;
  for (const char byte : bytes) {
    crc32 = crc32 * 31 + static_cast<uint8_t>(byte);
  }
  return Blob{.digest = digest,
              .num_bytes = static_cast<int64_t>(bytes.size()),
              .crc32 = crc32};
}

ManifestEntry EntryOf(const std::string& key, absl::string_view bytes) {
  ManifestEntry entry;
  entry.key = key;
  entry.spec = TensorSpec::Create(
                   DType::kUint8,
                   Shape::Create({static_cast<int64_t>(bytes.size())}).value())
                   .value();
  entry.digest = Digest::Of(bytes);
  return entry;
}

Manifest ManifestOf(const Tensors& tensors) {
  Manifest manifest;
  for (const auto& [key, bytes] : tensors) {
    manifest.entries.push_back(EntryOf(key, bytes));
  }
  return manifest;
}

std::string FileOf(const Tensors& tensors) {
  std::string file;
  for (const auto& [key, bytes] : tensors) {
    file.resize((file.size() + kAlignment - 1) / kAlignment * kAlignment);
    file += bytes;
  }
  return file;
}

void AddBlobs(Draft& draft, const StagedFile* file, const Tensors& tensors) {
  size_t offset = 0;
  for (const auto& [key, bytes] : tensors) {
    offset = (offset + kAlignment - 1) / kAlignment * kAlignment;
    draft.AddBlob(file, static_cast<int64_t>(offset), BlobOf(bytes));
    offset += bytes.size();
  }
}

absl::StatusOr<StagedFile*> StageFile(Draft& draft, const Tensors& tensors) {
  ASSIGN_OR_RETURN(StagedFile* const file, draft.NewFile());
  int64_t size = 0;
  for (const auto& [key, bytes] : tensors) {
    const size_t padding = (kAlignment - size % kAlignment) % kAlignment;
    RETURN_IF_ERROR(file->Append(std::string(padding, '\0')));
    size += static_cast<int64_t>(padding);
    RETURN_IF_ERROR(file->Append(bytes));
    draft.AddBlob(file, size, BlobOf(bytes));
    size += static_cast<int64_t>(bytes.size());
  }
  RETURN_IF_ERROR(file->Finish().status());
  return file;
}

absl::StatusOr<Checkpoint> Save(Store& store, const Tensors& tensors,
                                NewCheckpoint request) {
  const std::unique_ptr<Draft> draft = store.NewDraft();
  RETURN_IF_ERROR(StageFile(*draft, tensors).status());
  draft->StartSync();
  return draft->Commit(WithManifest(std::move(request), tensors));
}

absl::StatusOr<Checkpoint> SaveReferences(Store& store, const Tensors& tensors,
                                          NewCheckpoint request) {
  return store.NewDraft()->Commit(WithManifest(std::move(request), tensors));
}

absl::Status CheckReadable(Store& store, const CheckpointName& name,
                           const Tensors& tensors) {
  ASSIGN_OR_RETURN(const auto manifest, store.GetManifest(name));
  if (manifest->entries != ManifestOf(tensors).entries) {
    return absl::DataLossError("the manifest has other entries");
  }
  for (const auto& [key, bytes] : tensors) {
    const Blob expected = BlobOf(bytes);
    ASSIGN_OR_RETURN(const Blob blob, store.GetBlob(expected.digest));
    ASSIGN_OR_RETURN(const BlobData data, store.OpenBlob(expected.digest));
    if (data.bytes != bytes || blob.num_bytes != expected.num_bytes ||
        (!bytes.empty() && blob.crc32 != expected.crc32)) {
      return absl::DataLossError(absl::StrCat(key, " has other bytes"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<UploadName> BeginUpload(Store& store, const std::string& file,
                                       absl::string_view bytes,
                                       size_t num_bytes) {
  ASSIGN_OR_RETURN(
      const Upload upload,
      store.uploads().Create({{file, static_cast<int64_t>(bytes.size())}}));
  RETURN_IF_ERROR(
      WriteToUpload(store, upload.name, bytes.substr(0, num_bytes)));
  return upload.name;
}

absl::Status WriteToUpload(Store& store, const UploadName& name,
                           absl::string_view bytes) {
  ASSIGN_OR_RETURN(const Upload upload, store.uploads().Get(name));
  ASSIGN_OR_RETURN(const std::unique_ptr<UploadWriter> writer,
                   store.uploads().Write(name));
  RETURN_IF_ERROR(writer->Begin(0, upload.files[0].committed_bytes));
  RETURN_IF_ERROR(writer->Append(bytes));
  return writer->Commit();
}

absl::StatusOr<UploadName> FindUpload(Store& store, const std::string& file) {
  ASSIGN_OR_RETURN(const UploadPage page, store.uploads().List(0, ""));
  for (const Upload& upload : page.uploads) {
    if (upload.files[0].name == file) return upload.name;
  }
  return absl::NotFoundError(absl::StrCat("no upload of ", file));
}

absl::StatusOr<Checkpoint> SaveUpload(Store& store, const UploadName& name,
                                      const Tensors& tensors,
                                      NewCheckpoint request) {
  const std::unique_ptr<Draft> draft = store.NewDraft();
  ASSIGN_OR_RETURN(const std::vector<AdoptedFile> files,
                   draft->AdoptUpload(name));
  AddBlobs(*draft, files[0].file, tensors);
  draft->StartSync();
  return draft->Commit(WithManifest(std::move(request), tensors));
}

AliasName MakeAlias(const std::string& name) {
  return AliasName::Parse(name).value();
}

CheckpointName MakeCheckpointName(const std::string& id) {
  return CheckpointName::Parse("checkpoints/" + id).value();
}

ArchitectureName MakeArchitectureName(const std::string& name) {
  return ArchitectureName::Parse(name).value();
}

Architecture MakeArchitecture(const std::string& name, int64_t size) {
  Architecture architecture;
  architecture.name = name;
  architecture.entries.push_back(ArchitectureEntry{
      .key = "weight",
      .spec = TensorSpec::Create(DType::kFloat32, Shape::Create({size}).value())
                  .value(),
      .initializer = NormalInit{.mean = 0.5, .std = 2}});
  return architecture;
}

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const std::string& data_dir,
                                                 FileSystem& file_system,
                                                 Clock& clock) {
  return Store::Open(
      {.data_dir = data_dir, .file_system = &file_system, .clock = &clock});
}

std::vector<std::string> FilesIn(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

int64_t PackBytes(const std::string& data_dir) {
  int64_t bytes = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(StorePaths(data_dir).PacksDir())) {
    bytes += static_cast<int64_t>(entry.file_size());
  }
  return bytes;
}

void FlipBit(const std::string& path, absl::string_view bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  std::string content((std::istreambuf_iterator<char>(file)), {});
  const size_t position = content.find(std::string(bytes));
  if (position == std::string::npos) std::abort();
  const size_t middle = position + bytes.size() / 2;
  file.seekp(static_cast<std::streamoff>(middle));
  file.put(static_cast<char>(content[middle] ^ 1));
}

absl::Status CheckDisk(const std::string& data_dir, FileSystem& file_system) {
  const StorePaths paths(data_dir);
  ASSIGN_OR_RETURN(const std::unique_ptr<SqliteDb> db,
                   SqliteDb::Open(paths.Catalog()));
  RETURN_IF_ERROR(CheckRows(*db));
  ASSIGN_OR_RETURN(const std::vector<std::string> files,
                   file_system.List(paths.PacksDir()));
  absl::flat_hash_set<std::string> unknown(files.begin(), files.end());
  SqliteQuery packs = db->Query("SELECT name, num_bytes FROM packs");
  while (packs.Next()) {
    const std::string name = packs.String(0);
    if (unknown.erase(name) == 0) {
      return absl::DataLossError(absl::StrCat("pack ", name, " is gone"));
    }
    ASSIGN_OR_RETURN(const int64_t size, file_system.Size(paths.Pack(name)));
    if (size != packs.Int(1)) {
      return absl::DataLossError(absl::StrCat("pack ", name, " has changed"));
    }
  }
  RETURN_IF_ERROR(packs.status());
  if (!unknown.empty()) {
    return absl::InternalError(
        absl::StrCat(unknown.size(), " files in packs/ are nobody's"));
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> staged,
                   file_system.List(paths.StagingDir()));
  if (!staged.empty()) {
    return absl::InternalError("files were left in staging/");
  }
  return CheckUploads(paths, file_system);
}

}  // namespace warmstart::store
