#include "server/format/torch/torch_tar_reader.h"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/format/little_endian.h"
#include "server/format/pickle/pickle_heap.h"
#include "server/format/pickle/pickle_vm.h"
#include "server/format/torch/pickled_tensor.h"
#include "server/format/torch/state_tree.h"
#include "server/format/torch/storage_source.h"
#include "server/format/torch/tar_archive.h"
#include "server/model/tensor_spec.h"

namespace warmstart::format {
namespace {

absl::Status Error(absl::string_view what) {
  return absl::InvalidArgumentError(what);
}

// Reads numbers and pickles that stand one after the other in a part of a file.
// Offsets count from the start of the file.
class Cursor {
 public:
  Cursor(absl::string_view file, absl::string_view part, PickleHeap* heap)
      : bytes_(file.substr(0, part.data() - file.data() + part.size())),
        at_(part.data() - file.data()),
        heap_(*heap),
        vm_(bytes_, heap) {}

  size_t at() const { return at_; }
  size_t left() const { return bytes_.size() - at_; }

  absl::StatusOr<PickleId> Pickle() {
    ASSIGN_OR_RETURN(const PickleVm::Result result, vm_.Load(at_));
    at_ = result.end;
    return result.value;
  }

  // A pickled tuple of three.
  absl::StatusOr<absl::Span<const PickleId>> PickledTriple() {
    const size_t start = at_;
    ASSIGN_OR_RETURN(const PickleId id, Pickle());
    if (heap_.kind(id) != PickleKind::kTuple || heap_.Items(id).size() != 3) {
      return Error(absl::StrCat("no tuple of three at byte ", start));
    }
    return heap_.Items(id);
  }

  // A pickled count of things that take at least a byte each.
  absl::StatusOr<int64_t> PickledCount() {
    const size_t start = at_;
    ASSIGN_OR_RETURN(const PickleId id, Pickle());
    if (heap_.kind(id) != PickleKind::kInt || heap_.Int(id) < 0 ||
        heap_.Int(id) > static_cast<int64_t>(left())) {
      return Error(absl::StrCat("no sane count at byte ", start));
    }
    return heap_.Int(id);
  }

  template <typename T>
  absl::StatusOr<T> Number() {
    if (left() < sizeof(T)) {
      return Error(absl::StrCat("a number is cut short at byte ", at_));
    }
    const T value = LoadLittleEndian<T>(&bytes_[at_]);
    at_ += sizeof(T);
    return value;
  }

  absl::StatusOr<std::vector<int64_t>> Numbers(int count) {
    std::vector<int64_t> values;
    for (int i = 0; i < count; ++i) {
      ASSIGN_OR_RETURN(const int64_t value, Number<int64_t>());
      values.push_back(value);
    }
    return values;
  }

  absl::Status Pass(int64_t size) {
    if (size < 0 || static_cast<uint64_t>(size) > left()) {
      return Error(absl::StrCat("a storage of ", size,
                                " bytes reaches past its end, at byte ", at_));
    }
    at_ += static_cast<size_t>(size);
    return absl::OkStatus();
  }

 private:
  const absl::string_view bytes_;
  size_t at_;
  PickleHeap& heap_;
  PickleVm vm_;
};

// Storages and tensors have numbers (they were pointers once) from one and the
// same range, by which everything else refers to them.
class TarStorages : public StorageSource {
 public:
  TarStorages(PickleHeap* heap, FileContents* contents)
      : heap_(*heap), contents_(*contents) {}

  // The file "storages": a count; for each storage a pickle of (key, location,
  // class), its number of elements, and the elements; then a pickled list of
  // views, (key, key of the root, offset, number of elements).
  absl::Status ReadStorages(Cursor cursor) {
    ASSIGN_OR_RETURN(const int64_t count, cursor.PickledCount());
    for (int64_t i = 0; i < count; ++i) {
      ASSIGN_OR_RETURN(const absl::Span<const PickleId> fields,
                       cursor.PickledTriple());
      ResolvedStorage storage;
      storage.storage_class = DecodeStorageClass(heap_, fields[2]);
      ASSIGN_OR_RETURN(const int64_t key, KeyOf(fields[0]));
      ASSIGN_OR_RETURN(const int64_t size, cursor.Number<int64_t>());
      int64_t num_bytes;
      if (storage.storage_class.element_size == 0 ||
          __builtin_mul_overflow(
              size, int64_t{storage.storage_class.element_size}, &num_bytes)) {
        return Error(absl::StrCat("a storage of unknown class or size before ",
                                  "byte ", cursor.at()));
      }
      FileStorage place;
      place.offset = static_cast<int64_t>(cursor.at());
      place.num_bytes = num_bytes;
      RETURN_IF_ERROR(cursor.Pass(num_bytes));
      storage.window = {static_cast<int32_t>(contents_.storages.size()), 0,
                        num_bytes};
      contents_.storages.push_back(place);
      RETURN_IF_ERROR(AddStorage(key, storage));
    }
    ASSIGN_OR_RETURN(const PickleId views, cursor.Pickle());
    if (heap_.kind(views) != PickleKind::kList) {
      return Error("the views of storages are no list");
    }
    for (PickleId view : heap_.Items(views)) RETURN_IF_ERROR(AddView(view));
    return absl::OkStatus();
  }

  // The file "tensors": a count; for each tensor a pickle of (key, key of its
  // storage, class), the number of dimensions in 4 bytes and 4 more bytes, the
  // sizes, the strides and the offset.
  absl::Status ReadTensors(Cursor cursor) {
    ASSIGN_OR_RETURN(const int64_t count, cursor.PickledCount());
    for (int64_t i = 0; i < count; ++i) {
      ASSIGN_OR_RETURN(const absl::Span<const PickleId> fields,
                       cursor.PickledTriple());
      ASSIGN_OR_RETURN(const int64_t key, KeyOf(fields[0]));
      PickledTensor tensor;
      tensor.storage = fields[1];
      ASSIGN_OR_RETURN(const int32_t rank, cursor.Number<int32_t>());
      RETURN_IF_ERROR(cursor.Number<int32_t>().status());
      if (rank < 0 || rank > Shape::kMaxRank) {
        return Error(absl::StrCat("a tensor of ", rank,
                                  " dimensions before byte ", cursor.at()));
      }
      ASSIGN_OR_RETURN(tensor.sizes, cursor.Numbers(rank));
      ASSIGN_OR_RETURN(tensor.strides, cursor.Numbers(rank));
      ASSIGN_OR_RETURN(tensor.offset, cursor.Number<int64_t>());
      if (!tensors_.emplace(key, std::move(tensor)).second) {
        return Error(absl::StrCat("two tensors have the number ", key));
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<ResolvedStorage> Resolve(PickleId id) override {
    ASSIGN_OR_RETURN(const int64_t key, KeyOf(id));
    const auto found = storages_.find(key);
    if (found == storages_.end()) {
      return Error(absl::StrCat("its storage ", key, " is not in the file"));
    }
    return found->second;
  }

  const PickledTensor* FindTensor(PickleId persistent) const override {
    const absl::StatusOr<int64_t> key = KeyOf(persistent);
    const auto found = key.ok() ? tensors_.find(*key) : tensors_.end();
    return found == tensors_.end() ? nullptr : &found->second;
  }

 private:
  // An integer, or a persistent id that is the text of one.
  absl::StatusOr<int64_t> KeyOf(PickleId id) const {
    if (heap_.kind(id) == PickleKind::kPersistent) id = heap_.Persistent(id);
    if (heap_.kind(id) == PickleKind::kInt) return heap_.Int(id);
    int64_t key;
    if ((heap_.kind(id) == PickleKind::kString ||
         heap_.kind(id) == PickleKind::kBytes) &&
        heap_.Text(id).size() <= 32 && absl::SimpleAtoi(heap_.Text(id), &key)) {
      return key;
    }
    return Error("the number of a storage or tensor is no integer");
  }

  absl::Status AddStorage(int64_t key, const ResolvedStorage& storage) {
    if (storages_.emplace(key, storage).second) return absl::OkStatus();
    return Error(absl::StrCat("two storages have the number ", key));
  }

  absl::Status AddView(PickleId id) {
    if (heap_.kind(id) != PickleKind::kTuple || heap_.Items(id).size() != 4) {
      return Error("a view of a storage is no tuple of four");
    }
    const absl::Span<const PickleId> fields = heap_.Items(id);
    ASSIGN_OR_RETURN(const int64_t key, KeyOf(fields[0]));
    ASSIGN_OR_RETURN(ResolvedStorage storage, Resolve(fields[1]));
    ASSIGN_OR_RETURN(const int64_t offset, KeyOf(fields[2]));
    ASSIGN_OR_RETURN(const int64_t size, KeyOf(fields[3]));
    const int64_t element_size = storage.storage_class.element_size;
    const int64_t elements = storage.window.num_bytes / element_size;
    if (offset < 0 || size < 0 || offset > elements ||
        size > elements - offset) {
      return Error(absl::StrCat("the view ", key, " lies outside of storage ",
                                "with ", elements, " elements"));
    }
    storage.window.first_byte += offset * element_size;
    storage.window.num_bytes = size * element_size;
    return AddStorage(key, storage);
  }

  PickleHeap& heap_;
  FileContents& contents_;
  absl::flat_hash_map<int64_t, ResolvedStorage> storages_;
  absl::flat_hash_map<int64_t, PickledTensor> tensors_;
};

}  // namespace

bool LooksLikeTorchTar(absl::string_view bytes) { return LooksLikeTar(bytes); }

absl::StatusOr<FileContents> ReadTorchTar(const FileView& file) {
  ASSIGN_OR_RETURN(const auto parts, ReadTar(file.bytes));
  for (absl::string_view name : {"storages", "tensors", "pickle"}) {
    if (parts.contains(name)) continue;
    return Error(absl::StrCat("the tar archive has no file '", name,
                              "', as early versions of torch.save wrote it"));
  }
  PickleHeap heap;
  FileContents contents;
  contents.format = "torch-tar";
  TarStorages storages(&heap, &contents);
  const auto part = [&](absl::string_view name) {
    return Cursor(file.bytes, parts.at(name), &heap);
  };
  RETURN_IF_ERROR(storages.ReadStorages(part("storages")));
  RETURN_IF_ERROR(storages.ReadTensors(part("tensors")));
  Cursor pickle = part("pickle");
  ASSIGN_OR_RETURN(const PickleId root, pickle.Pickle());
  RETURN_IF_ERROR(ReadStateTree(heap, root, file.bytes,
                                static_cast<int64_t>(parts.at("pickle").size()),
                                storages, &contents));
  return contents;
}

}  // namespace warmstart::format
