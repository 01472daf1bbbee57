#include "server/format/torch/torch_zip_reader.h"

#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/base/status_macros.h"
#include "server/format/key_check.h"
#include "server/format/pickle/pickle_heap.h"
#include "server/format/pickle/pickle_vm.h"
#include "server/format/torch/pickled_tensor.h"
#include "server/format/torch/state_tree.h"
#include "server/format/torch/storage_source.h"
#include "server/format/torch/zip_archive.h"

namespace warmstart::format {
namespace {

constexpr absl::string_view kLocalHeaderSignature("PK\3\4", 4);
constexpr absl::string_view kPickleName = "data.pkl";

absl::Status Error(absl::string_view what) {
  return absl::InvalidArgumentError(what);
}

// The folder in the archive that everything lies in, with its slash: that of
// the only data.pkl. torch.save names it after the file, others as they like.
absl::StatusOr<std::string> FindFolder(const ZipArchive& archive) {
  std::optional<absl::string_view> folder;
  for (const ZipRecord& record : archive.records()) {
    absl::string_view name = record.name;
    if (!absl::ConsumeSuffix(&name, kPickleName) ||
        !absl::EndsWith(name, "/")) {
      continue;
    }
    if (folder) return Error("the zip file has more than one data.pkl");
    folder = name;
  }
  if (!folder) {
    return Error(
        "the zip file has no data.pkl in a folder, as torch.save writes it");
  }
  return std::string(*folder);
}

// What torch.save has noted since 2.1; before that, only little-endian machines
// were in use.
absl::StatusOr<bool> IsBigEndian(const ZipArchive& archive,
                                 absl::string_view folder) {
  const ZipRecord* record = archive.Find(absl::StrCat(folder, "byteorder"));
  if (record == nullptr) return false;
  ASSIGN_OR_RETURN(const absl::string_view order, archive.ReadChecked(*record));
  if (order == "little") return false;
  if (order == "big") return true;
  return Error(absl::StrCat("unknown byte order ", QuoteForMessage(order)));
}

// Each storage is a record, data/KEY.
class ZipStorages : public StorageSource {
 public:
  ZipStorages(const PickleHeap& heap, const ZipArchive& archive,
              std::string folder, bool big_endian, FileContents* contents)
      : heap_(heap),
        archive_(archive),
        folder_(std::move(folder)),
        big_endian_(big_endian),
        contents_(*contents) {}

  absl::StatusOr<ResolvedStorage> Resolve(PickleId id) override {
    ASSIGN_OR_RETURN(const PickledStorage storage, DecodeStorage(heap_, id));
    const std::string name = absl::StrCat(folder_, "data/", storage.key);
    const ZipRecord* record = archive_.Find(name);
    if (record == nullptr) {
      return Error(absl::StrCat("its storage ", QuoteForMessage(name),
                                " is not in the zip file"));
    }
    RETURN_IF_ERROR(record->readable);
    RETURN_IF_ERROR(CheckSize(storage, *record));
    ResolvedStorage resolved;
    resolved.storage_class = storage.storage_class;
    resolved.window = {IndexOf(*record), 0, record->num_bytes};
    return resolved;
  }

 private:
  // A record may have a few bytes more than whole elements: a tensor on an
  // untyped storage of any size was saved so.
  static absl::Status CheckSize(const PickledStorage& storage,
                                const ZipRecord& record) {
    const int64_t element_size = storage.storage_class.element_size;
    if (element_size == 0 || record.num_bytes / element_size == storage.size) {
      return absl::OkStatus();
    }
    return Error(absl::StrCat("its storage ", QuoteForMessage(record.name),
                              " has ", record.num_bytes, " bytes where ",
                              storage.size, " elements of ", element_size,
                              " bytes are expected"));
  }

  int32_t IndexOf(const ZipRecord& record) {
    const auto [place, is_new] = indices_.emplace(
        &record, static_cast<int32_t>(contents_.storages.size()));
    if (is_new) {
      FileStorage storage;
      storage.offset = record.offset;
      storage.num_bytes = record.num_bytes;
      storage.byte_swapped = big_endian_;
      storage.crc32 = record.crc32;
      contents_.storages.push_back(storage);
    }
    return place->second;
  }

  const PickleHeap& heap_;
  const ZipArchive& archive_;
  const std::string folder_;
  const bool big_endian_;
  FileContents& contents_;
  absl::flat_hash_map<const ZipRecord*, int32_t> indices_;
};

}  // namespace

bool LooksLikeTorchZip(absl::string_view bytes) {
  return absl::StartsWith(bytes, kLocalHeaderSignature);
}

absl::StatusOr<FileContents> ReadTorchZip(const FileView& file) {
  ASSIGN_OR_RETURN(const ZipArchive archive, ZipArchive::Open(file.bytes));
  ASSIGN_OR_RETURN(const std::string folder, FindFolder(archive));
  ASSIGN_OR_RETURN(const bool big_endian, IsBigEndian(archive, folder));
  const ZipRecord& pickle = *archive.Find(absl::StrCat(folder, kPickleName));
  RETURN_IF_ERROR(archive.ReadChecked(pickle).status());

  PickleHeap heap;
  PickleVm vm(file.bytes.substr(0, pickle.offset + pickle.num_bytes), &heap);
  ASSIGN_OR_RETURN(const PickleVm::Result root, vm.Load(pickle.offset));
  FileContents contents;
  contents.format = "torch-zip";
  ZipStorages storages(heap, archive, folder, big_endian, &contents);
  RETURN_IF_ERROR(ReadStateTree(heap, root.value, file.bytes, pickle.num_bytes,
                                storages, &contents));
  return contents;
}

}  // namespace warmstart::format
