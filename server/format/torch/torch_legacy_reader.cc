#include "server/format/torch/torch_legacy_reader.h"

#include <cstddef>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/format/key_check.h"
#include "server/format/little_endian.h"
#include "server/format/pickle/pickle_heap.h"
#include "server/format/pickle/pickle_vm.h"
#include "server/format/torch/pickled_tensor.h"
#include "server/format/torch/state_tree.h"
#include "server/format/torch/storage_source.h"

namespace warmstart::format {
namespace {

// 0x1950a86a20f9469cfc6c, which is the first pickle of such a file: its bytes
// in the binary protocols (after the opcode of the protocol), and its digits.
constexpr absl::string_view kMagicBytes(
    "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a"
    "\xa8\x50\x19.",
    13);
constexpr absl::string_view kMagicDigits = "119547037146038801333356";
constexpr size_t kProtocolSize = 2;
constexpr int64_t kFormatVersion = 1001;

absl::Status Error(absl::string_view what) {
  return absl::InvalidArgumentError(what);
}

// Each storage is a count of elements and the elements, after the pickles.
class LegacyStorages : public StorageSource {
 public:
  LegacyStorages(const PickleHeap& heap, FileContents* contents)
      : heap_(heap), contents_(*contents) {}

  // Finds the storages that the pickle of values refers to.
  void Declare() {
    for (PickleId id = 0; id < heap_.size(); ++id) {
      if (heap_.kind(id) != PickleKind::kPersistent) continue;
      // Classes are persistent ids too.
      const absl::StatusOr<PickledStorage> storage = DecodeStorage(heap_, id);
      if (!storage.ok()) continue;
      storages_.emplace(storage->key, Root{storage->storage_class.element_size,
                                           storage->size, -1});
    }
  }

  // Reads the storages of `keys`, which stand at `offset` in that order, and
  // returns the offset behind them. No byte of theirs is touched.
  absl::StatusOr<size_t> Locate(absl::string_view bytes, PickleId keys,
                                size_t offset) {
    if (heap_.kind(keys) != PickleKind::kList) {
      return Error("the keys of the storages are no list");
    }
    for (PickleId key : heap_.Items(keys)) {
      ASSIGN_OR_RETURN(offset, LocateOne(bytes, key, offset));
    }
    return offset;
  }

  absl::StatusOr<ResolvedStorage> Resolve(PickleId id) override {
    ASSIGN_OR_RETURN(const PickledStorage storage, DecodeStorage(heap_, id));
    const auto root = storages_.find(storage.key);
    if (root == storages_.end() || root->second.index < 0) {
      return Error(absl::StrCat("its storage ", QuoteForMessage(storage.key),
                                " is not in the file"));
    }
    ResolvedStorage resolved;
    resolved.storage_class = storage.storage_class;
    resolved.window = {root->second.index, 0,
                       contents_.storages[root->second.index].num_bytes};
    if (storage.view) {
      RETURN_IF_ERROR(Narrow(*storage.view, storage.storage_class.element_size,
                             &resolved.window));
    }
    return resolved;
  }

 private:
  struct Root {
    int64_t element_size;
    int64_t size;   // elements
    int32_t index;  // into contents_.storages; -1 before it was located
  };

  absl::StatusOr<size_t> LocateOne(absl::string_view bytes, PickleId key,
                                   size_t offset) {
    if (heap_.kind(key) != PickleKind::kString) {
      return Error("the key of a storage is no text");
    }
    const std::string name = QuoteForMessage(heap_.Text(key));
    const auto found = storages_.find(heap_.Text(key));
    if (found == storages_.end()) {
      return Error(absl::StrCat("the storage ", name, " belongs to no tensor"));
    }
    Root& root = found->second;
    if (root.index >= 0) {
      return Error(absl::StrCat("the storage ", name, " comes twice"));
    }
    if (root.element_size == 0) {
      return Error(absl::StrCat("the storage ", name,
                                " is of a class that PyTorch never had"));
    }
    if (bytes.size() - offset < sizeof(int64_t)) {
      return Error(absl::StrCat("the file ends before the storage ", name,
                                ", at byte ", offset));
    }
    const int64_t size = LoadLittleEndian<int64_t>(&bytes[offset]);
    const int64_t left =
        static_cast<int64_t>(bytes.size() - offset - sizeof(int64_t));
    if (size != root.size) {
      return Error(absl::StrCat("the storage ", name, " has ", size,
                                " elements where ", root.size,
                                " are expected, at byte ", offset));
    }
    if (size < 0 || size > left / root.element_size) {
      return Error(absl::StrCat("the storage ", name, " of ", size,
                                " elements reaches past the end of the file, "
                                "at byte ",
                                offset));
    }
    // Little-endian whatever machine wrote it: the sys_info in the file tells
    // that machine's order, but PyTorch always swapped on the way to the disk.
    FileStorage storage;
    storage.offset = static_cast<int64_t>(offset + sizeof(int64_t));
    storage.num_bytes = size * root.element_size;
    root.index = static_cast<int32_t>(contents_.storages.size());
    contents_.storages.push_back(storage);
    return static_cast<size_t>(storage.offset + storage.num_bytes);
  }

  static absl::Status Narrow(const PickledStorageView& view,
                             int64_t element_size, StorageWindow* window) {
    if (element_size == 0) return Error("its storage is of no known class");
    const int64_t elements = window->num_bytes / element_size;
    if (view.offset < 0 || view.size < 0 || view.offset > elements ||
        view.size > elements - view.offset) {
      return Error(absl::StrCat("its storage is a view of ", view.size,
                                " elements from ", view.offset, " of ",
                                elements));
    }
    window->first_byte = view.offset * element_size;
    window->num_bytes = view.size * element_size;
    return absl::OkStatus();
  }

  const PickleHeap& heap_;
  FileContents& contents_;
  absl::flat_hash_map<absl::string_view, Root> storages_;
};

absl::Status CheckInt(const PickleHeap& heap, PickleId id, int64_t expected,
                      absl::string_view what) {
  if (heap.kind(id) == PickleKind::kInt && heap.Int(id) == expected) {
    return absl::OkStatus();
  }
  return Error(absl::StrCat("unknown ", what));
}

}  // namespace

bool LooksLikeTorchLegacy(absl::string_view bytes) {
  if (absl::StartsWith(bytes, "\x80")) {
    // Protocol 4 and 5 have a frame, or not, depending on the pickler.
    absl::string_view start = bytes.substr(0, 32);
    return start.size() > kProtocolSize &&
           absl::StrContains(start.substr(kProtocolSize), kMagicBytes);
  }
  return absl::StartsWith(bytes, absl::StrCat("L", kMagicDigits));
}

absl::StatusOr<FileContents> ReadTorchLegacy(const FileView& file) {
  PickleHeap heap;
  PickleVm vm(file.bytes, &heap);
  ASSIGN_OR_RETURN(const PickleVm::Result magic, vm.Load(0));
  if (heap.kind(magic.value) != PickleKind::kBigInt ||
      heap.Text(magic.value) != kMagicDigits) {
    return Error("the magic number of torch.save is missing");
  }
  ASSIGN_OR_RETURN(const PickleVm::Result version, vm.Load(magic.end));
  RETURN_IF_ERROR(CheckInt(heap, version.value, kFormatVersion,
                           "version of torch.save's legacy format"));
  ASSIGN_OR_RETURN(const PickleVm::Result system, vm.Load(version.end));
  ASSIGN_OR_RETURN(const PickleVm::Result root, vm.Load(system.end));
  FileContents contents;
  contents.format = "torch-legacy";
  LegacyStorages storages(heap, &contents);
  storages.Declare();
  ASSIGN_OR_RETURN(const PickleVm::Result keys, vm.Load(root.end));
  ASSIGN_OR_RETURN(const size_t end,
                   storages.Locate(file.bytes, keys.value, keys.end));
  RETURN_IF_ERROR(ReadStateTree(heap, root.value, file.bytes,
                                static_cast<int64_t>(keys.end), storages,
                                &contents));
  if (end < file.bytes.size()) {
    contents.skipped.push_back(
        {"", absl::StrCat(file.bytes.size() - end,
                          " bytes after the end of the checkpoint")});
  }
  return contents;
}

}  // namespace warmstart::format
