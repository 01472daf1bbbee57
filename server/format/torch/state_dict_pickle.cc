#include "server/format/torch/state_dict_pickle.h"

#include <cstddef>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/base/status_macros.h"
#include "server/format/key_check.h"
#include "server/format/pickle/pickle_writer.h"

namespace warmstart::format {
namespace {

// CPython's pickler adds items to a dict in batches of this many.
constexpr size_t kBatchSize = 1000;

// The class torch.<name> of storages with elements of this type. PyTorch has
// none for the types that came after it deprecated those classes.
std::optional<absl::string_view> TypedStorageName(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return "BoolStorage";
    case DType::kUint8:
      return "ByteStorage";
    case DType::kInt8:
      return "CharStorage";
    case DType::kInt16:
      return "ShortStorage";
    case DType::kInt32:
      return "IntStorage";
    case DType::kInt64:
      return "LongStorage";
    case DType::kFloat16:
      return "HalfStorage";
    case DType::kBFloat16:
      return "BFloat16Storage";
    case DType::kFloat32:
      return "FloatStorage";
    case DType::kFloat64:
      return "DoubleStorage";
    case DType::kComplex64:
      return "ComplexFloatStorage";
    case DType::kComplex128:
      return "ComplexDoubleStorage";
    case DType::kUint16:
    case DType::kUint32:
    case DType::kUint64:
    case DType::kComplex32:
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E5M2:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2FNUZ:
    case DType::kFloat8E8M0FNU:
      return std::nullopt;
  }
  return std::nullopt;
}

// Whether all elements of the view lie inside the storage.
bool LiesInside(const TensorSpec& spec, const StorageView& view,
                int64_t num_bytes) {
  const absl::Span<const int64_t> sizes = spec.shape().sizes();
  if (view.strides.size() != sizes.size() || view.offset < 0) return false;
  int64_t last = view.offset;
  for (size_t i = 0; i < sizes.size(); ++i) {
    int64_t span = 0;
    if (view.strides[i] < 0) return false;
    if (sizes[i] == 0) continue;
    if (__builtin_mul_overflow(sizes[i] - 1, view.strides[i], &span) ||
        __builtin_add_overflow(last, span, &last)) {
      return false;
    }
  }
  return spec.num_elements() == 0 || last < num_bytes / DTypeSize(spec.dtype());
}

// What the pickle knows of one of the manifest's shared storages.
struct SharedState {
  std::optional<DType> dtype;  // of the entries that view it
  // It cannot be a storage of that type: entries of several types view it, or
  // its size is no multiple of the element's.
  bool untyped = false;
  std::optional<int> number;  // once it was mentioned
  PickleWriter::MemoIndex name = 0;
};

// Writes one state_dict; the pickle may have several.
class StateDictPickler {
 public:
  // Storages that the state_dict refers to are added to `storages`.
  StateDictPickler(const Manifest& manifest, PickleWriter& writer,
                   std::vector<PickledStorage>& storages)
      : manifest_(manifest),
        writer_(writer),
        storages_(storages),
        shared_(manifest.storages.size()) {}

  absl::Status Write() {
    for (const ManifestEntry& entry : manifest_.entries) {
      if (entry.view.has_value()) RETURN_IF_ERROR(CheckView(entry));
    }
    EmptyOrderedDict();
    Items(manifest_.entries, [this](const ManifestEntry& entry) {
      writer_.String(entry.key);
      Tensor(entry);
    });
    if (!manifest_.module_versions.empty()) Metadata();
    return absl::OkStatus();
  }

 private:
  absl::Status CheckView(const ManifestEntry& entry) {
    const StorageView& view = *entry.view;
    if (view.storage < 0 ||
        static_cast<size_t>(view.storage) >= shared_.size() ||
        !LiesInside(entry.spec, view,
                    manifest_.storages[view.storage].num_bytes)) {
      return absl::InternalError(
          absl::StrCat("the manifest's entry ", QuoteForMessage(entry.key),
                       " does not lie inside its storage"));
    }
    SharedState& state = shared_[view.storage];
    const int64_t num_bytes = manifest_.storages[view.storage].num_bytes;
    if (num_bytes % DTypeSize(entry.spec.dtype()) != 0 ||
        state.dtype.value_or(entry.spec.dtype()) != entry.spec.dtype()) {
      state.untyped = true;
    }
    state.dtype = entry.spec.dtype();
    return absl::OkStatus();
  }

  void EmptyOrderedDict() {
    writer_.Global("collections", "OrderedDict");
    writer_.EmptyTuple();
    writer_.Call();
  }

  // Adds `items` to the dict on the stack; `write` writes key and value of one.
  template <typename Item, typename Write>
  void Items(const std::vector<Item>& items, Write write) {
    for (size_t begin = 0; begin < items.size(); begin += kBatchSize) {
      const absl::Span<const Item> batch =
          absl::MakeConstSpan(items).subspan(begin, kBatchSize);
      if (batch.size() > 1) writer_.Mark();
      for (const Item& item : batch) write(item);
      if (batch.size() > 1) {
        writer_.SetItems();
      } else {
        writer_.SetItem();
      }
    }
  }

  // torch._utils._rebuild_tensor_v2(storage, offset, size, stride,
  // requires_grad, backward_hooks), or _v3 with the type as one more argument.
  void Tensor(const ManifestEntry& entry) {
    const std::optional<absl::string_view> storage_class = StorageClass(entry);
    writer_.Global("torch._utils",
                   storage_class ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3");
    writer_.Mark();
    Storage(entry, storage_class);
    writer_.Int(entry.view ? entry.view->offset : 0);
    IntTuple(entry.spec.shape().sizes());
    IntTuple(entry.view ? entry.view->strides
                        : entry.spec.shape().ContiguousStrides());
    writer_.False();
    EmptyOrderedDict();
    if (!storage_class) writer_.Global("torch", DTypeName(entry.spec.dtype()));
    writer_.TupleSinceMark();
    writer_.Call();
  }

  // None for an untyped storage.
  std::optional<absl::string_view> StorageClass(
      const ManifestEntry& entry) const {
    if (entry.view && shared_[entry.view->storage].untyped) return std::nullopt;
    return TypedStorageName(entry.spec.dtype());
  }

  // The persistent id ("storage", class, number, location, size).
  void Storage(const ManifestEntry& entry,
               std::optional<absl::string_view> storage_class) {
    const int64_t num_bytes =
        entry.view ? manifest_.storages[entry.view->storage].num_bytes
                   : entry.spec.num_bytes();
    writer_.Mark();
    writer_.Constant("storage");
    if (storage_class) {
      writer_.Global("torch", *storage_class);
    } else {
      writer_.Global("torch.storage", "UntypedStorage");
    }
    StorageNumber(entry);
    writer_.Constant("cpu");
    writer_.Int(storage_class ? num_bytes / DTypeSize(entry.spec.dtype())
                              : num_bytes);
    writer_.TupleSinceMark();
    writer_.PersistentId();
  }

  void StorageNumber(const ManifestEntry& entry) {
    if (!entry.view) {
      NewStorage({entry.digest, entry.spec.num_bytes()});
      return;
    }
    SharedState& state = shared_[entry.view->storage];
    if (state.number.has_value()) {
      writer_.Get(state.name);
      return;
    }
    const SharedStorage& storage = manifest_.storages[entry.view->storage];
    state.number = static_cast<int>(storages_.size());
    state.name = NewStorage({storage.digest, storage.num_bytes});
  }

  PickleWriter::MemoIndex NewStorage(PickledStorage storage) {
    storages_.push_back(storage);
    return writer_.String(absl::StrCat(storages_.size() - 1));
  }

  void IntTuple(absl::Span<const int64_t> values) {
    if (values.empty()) {
      writer_.EmptyTuple();
      return;
    }
    if (values.size() > 3) writer_.Mark();
    for (int64_t value : values) writer_.Int(value);
    if (values.size() > 3) {
      writer_.TupleSinceMark();
    } else {
      writer_.TupleOfLast(static_cast<int>(values.size()));
    }
  }

  // The attribute _metadata of the state_dict: {path: {"version": number}}.
  void Metadata() {
    writer_.EmptyDict();
    writer_.Constant("_metadata");
    EmptyOrderedDict();
    Items(manifest_.module_versions, [this](const ModuleVersion& module) {
      writer_.String(module.path);
      writer_.EmptyDict();
      writer_.Constant("version");
      writer_.Int(module.version);
      writer_.SetItem();
    });
    writer_.SetItem();
    writer_.Build();
  }

  const Manifest& manifest_;
  PickleWriter& writer_;
  std::vector<PickledStorage>& storages_;
  std::vector<SharedState> shared_;
};

}  // namespace

absl::StatusOr<StateDictPickle> PickleStateDict(const Manifest& manifest) {
  PickleWriter writer;
  StateDictPickle pickle;
  RETURN_IF_ERROR(StateDictPickler(manifest, writer, pickle.storages).Write());
  pickle.bytes = std::move(writer).Finish();
  return pickle;
}

absl::StatusOr<StateDictPickle> PickleStateDicts(
    absl::Span<const FilePart> parts) {
  PickleWriter writer;
  StateDictPickle pickle;
  writer.EmptyDict();
  if (!parts.empty()) writer.Mark();
  for (const FilePart& part : parts) {
    writer.String(part.key);
    RETURN_IF_ERROR(
        StateDictPickler(part.manifest, writer, pickle.storages).Write());
  }
  if (!parts.empty()) writer.SetItems();
  pickle.bytes = std::move(writer).Finish();
  return pickle;
}

}  // namespace warmstart::format
