#include "server/format/torch/pickled_tensor.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/format/key_check.h"
#include "server/format/pickle/pickled_object.h"
#include "server/model/tensor_spec.h"

namespace warmstart::format {
namespace {

absl::Status Malformed(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("malformed tensor: ", what));
}

// A function that rebuilds a tensor, and how to read its arguments.
enum class Rebuild {
  kTensor,      // storage, offset, size, stride, ..., [6] metadata
  kTensorV3,    // storage, offset, size, stride, ..., [6] dtype, [7] metadata
  kFirst,       // a tensor, whatever else
  kFromType,    // function, class, its arguments, state
  kUnreadable,  // see `reason`
};

struct RebuildFunction {
  absl::string_view name;
  Rebuild how;
  absl::string_view reason;
};

// Of torch._utils and torch._tensor; the names differ, so one list will do.
constexpr RebuildFunction kRebuildFunctions[] = {
    {"_rebuild_tensor_v2", Rebuild::kTensor, ""},
    {"_rebuild_tensor_v3", Rebuild::kTensorV3, ""},
    {"_rebuild_tensor", Rebuild::kTensor, ""},
    {"_rebuild_parameter", Rebuild::kFirst, ""},
    {"_rebuild_parameter_with_state", Rebuild::kFirst, ""},
    {"_rebuild_from_type_v2", Rebuild::kFromType, ""},
    {"_rebuild_from_type", Rebuild::kFromType, ""},
    {"_rebuild_device_tensor_from_cpu_tensor", Rebuild::kFirst, ""},
    {"_rebuild_sparse_tensor", Rebuild::kUnreadable, "sparse tensor"},
    {"_rebuild_sparse_csr_tensor", Rebuild::kUnreadable, "sparse tensor"},
    {"_rebuild_qtensor", Rebuild::kUnreadable, "quantized tensor"},
    {"_rebuild_nested_tensor", Rebuild::kUnreadable, "nested tensor"},
    {"_rebuild_meta_tensor_no_storage", Rebuild::kUnreadable,
     "tensor on the meta device, which has no values"},
    {"_rebuild_wrapper_subclass", Rebuild::kUnreadable,
     "tensor subclass without values of its own"},
    {"_rebuild_device_tensor_from_numpy", Rebuild::kUnreadable,
     "tensor that was saved as a numpy array"},
    {"_rebuild_xla_tensor", Rebuild::kUnreadable,
     "tensor that was saved as a numpy array"},
};

const RebuildFunction* FindRebuildFunction(const PickleHeap& heap,
                                           PickleId callable) {
  if (heap.kind(callable) != PickleKind::kGlobal) return nullptr;
  const PickleGlobal& global = heap.Global(callable);
  // torch.tensor is where torch._tensor was before 1.8.
  if (global.module != "torch._utils" && global.module != "torch._tensor" &&
      global.module != "torch.tensor") {
    return nullptr;
  }
  for (const RebuildFunction& function : kRebuildFunctions) {
    if (global.name == function.name) return &function;
  }
  return nullptr;
}

absl::StatusOr<int64_t> ReadInt(const PickleHeap& heap, PickleId id,
                                absl::string_view what) {
  if (heap.kind(id) == PickleKind::kInt) return heap.Int(id);
  return Malformed(absl::StrCat("its ", what, " is no integer"));
}

// A tuple, a list, or torch.Size of one.
absl::StatusOr<std::vector<int64_t>> ReadInts(const PickleHeap& heap,
                                              PickleId id,
                                              absl::string_view what) {
  id = LookThroughTags(heap, id);
  if (heap.kind(id) == PickleKind::kObject &&
      IsGlobal(heap, heap.Object(id).callable, "torch", "Size") &&
      ArgumentsOf(heap, id).size() == 1) {
    id = ArgumentsOf(heap, id)[0];
  }
  if (heap.kind(id) != PickleKind::kTuple &&
      heap.kind(id) != PickleKind::kList) {
    return Malformed(absl::StrCat("its ", what, " is no tuple of integers"));
  }
  const absl::Span<const PickleId> items = heap.Items(id);
  if (items.size() > Shape::kMaxRank) {
    return Malformed(absl::StrCat("its ", what, " has ", items.size(),
                                  " dimensions; at most ", Shape::kMaxRank,
                                  " are allowed"));
  }
  std::vector<int64_t> values;
  for (PickleId item : items) {
    if (heap.kind(item) != PickleKind::kInt) {
      return Malformed(absl::StrCat("its ", what, " is no tuple of integers"));
    }
    values.push_back(heap.Int(item));
  }
  return values;
}

// A torch.dtype, which pickles as the name of an attribute of torch.
std::optional<DType> ReadDType(const PickleHeap& heap, PickleId id) {
  if (heap.kind(id) != PickleKind::kGlobal ||
      heap.Global(id).module != "torch") {
    return std::nullopt;
  }
  const absl::StatusOr<DType> dtype = ParseDType(heap.Global(id).name);
  return dtype.ok() ? std::optional<DType>(*dtype) : std::nullopt;
}

// Lazily conjugated or negated tensors: a dict of flags, empty for others.
bool HasFlags(const PickleHeap& heap, PickleId metadata) {
  return heap.kind(metadata) == PickleKind::kDict &&
         !heap.Items(metadata).empty();
}

absl::StatusOr<TensorValue> ReadTensor(const PickleHeap& heap,
                                       absl::Span<const PickleId> arguments,
                                       bool v3) {
  if (arguments.size() < (v3 ? 7 : 4)) {
    return Malformed("arguments are missing");
  }
  PickledTensor tensor;
  tensor.storage = arguments[0];
  ASSIGN_OR_RETURN(tensor.offset, ReadInt(heap, arguments[1], "offset"));
  ASSIGN_OR_RETURN(tensor.sizes, ReadInts(heap, arguments[2], "shape"));
  ASSIGN_OR_RETURN(tensor.strides, ReadInts(heap, arguments[3], "stride"));
  if (v3) {
    tensor.dtype = ReadDType(heap, arguments[6]);
    if (!tensor.dtype) {
      return TensorValue(UnreadableTensor{
          absl::StrCat("tensor of ", GlobalName(heap, arguments[6]))});
    }
  }
  const size_t metadata = v3 ? 7 : 6;
  if (arguments.size() > metadata && HasFlags(heap, arguments[metadata])) {
    return TensorValue(
        UnreadableTensor{"lazily conjugated or negated tensor; save it after "
                         "resolve_conj() or resolve_neg()"});
  }
  return TensorValue(std::move(tensor));
}

// Classes whose instances are plain tensors as far as a checkpoint goes.
bool IsPlainTensorClass(const PickleHeap& heap, PickleId id) {
  return IsGlobal(heap, id, "torch", "Tensor") ||
         IsGlobal(heap, id, "torch._tensor", "Tensor") ||
         IsGlobal(heap, id, "torch.nn.parameter", "Parameter") ||
         IsGlobal(heap, id, "torch.nn.parameter", "Buffer");
}

// Tensors and Variables from before PyTorch 0.4 are instances of their classes.
absl::StatusOr<TensorValue> ReadOldInstance(const PickleHeap& heap, PickleId id,
                                            PickleId* inner) {
  const PickleId type = ClassOf(heap, id);
  if (heap.kind(type) != PickleKind::kGlobal) return TensorValue(NoTensor{});
  const PickleId state = heap.Object(id).state;
  const absl::Span<const PickleId> fields =
      state != kNoPickleId && heap.kind(state) == PickleKind::kTuple
          ? heap.Items(state)
          : absl::Span<const PickleId>();
  if (IsGlobal(heap, type, "torch.nn.parameter", "Parameter") ||
      IsGlobal(heap, type, "torch.autograd.variable", "Variable")) {
    // Parameter(data), or a state of (data, gradient, ...).
    const absl::Span<const PickleId> arguments = ArgumentsOf(heap, id);
    if (heap.Object(id).callable == type && !arguments.empty()) {
      *inner = arguments[0];
    } else if (fields.size() == 5) {
      *inner = fields[0];
    }
  } else if (absl::StartsWith(heap.Global(type).module, "torch") &&
             absl::EndsWith(heap.Global(type).name, "Tensor") &&
             fields.size() == 4) {
    return ReadTensor(heap, fields, /*v3=*/false);
  }
  return TensorValue(NoTensor{});
}

struct NamedStorageClass {
  absl::string_view name;
  int element_size;
  std::optional<DType> dtype;
};

constexpr NamedStorageClass kStorageClasses[] = {
    {"FloatStorage", 4, DType::kFloat32},
    {"HalfStorage", 2, DType::kFloat16},
    {"BFloat16Storage", 2, DType::kBFloat16},
    {"DoubleStorage", 8, DType::kFloat64},
    {"LongStorage", 8, DType::kInt64},
    {"IntStorage", 4, DType::kInt32},
    {"ShortStorage", 2, DType::kInt16},
    {"CharStorage", 1, DType::kInt8},
    {"ByteStorage", 1, DType::kUint8},
    {"BoolStorage", 1, DType::kBool},
    {"ComplexFloatStorage", 8, DType::kComplex64},
    {"ComplexDoubleStorage", 16, DType::kComplex128},
    {"QInt8Storage", 1, std::nullopt},
    {"QUInt8Storage", 1, std::nullopt},
    {"QInt32Storage", 4, std::nullopt},
    {"QUInt4x2Storage", 1, std::nullopt},
    {"QUInt2x4Storage", 1, std::nullopt},
    {"UntypedStorage", 1, std::nullopt},
    {"_UntypedStorage", 1, std::nullopt},
};

// PyTorch's keys are short decimal numbers, as text.
absl::StatusOr<absl::string_view> ReadStorageKey(const PickleHeap& heap,
                                                 PickleId id) {
  constexpr size_t kMaxKeySize = 256;
  if (heap.kind(id) != PickleKind::kString &&
      heap.kind(id) != PickleKind::kBytes) {
    return Malformed("the key of its storage is no text");
  }
  if (heap.Text(id).size() > kMaxKeySize) {
    return Malformed("the key of its storage is too long");
  }
  return heap.Text(id);
}

absl::StatusOr<std::optional<PickledStorageView>> ReadStorageView(
    const PickleHeap& heap, PickleId id) {
  if (heap.kind(id) == PickleKind::kNone) {
    return std::optional<PickledStorageView>();
  }
  if (heap.kind(id) != PickleKind::kTuple || heap.Items(id).size() != 3) {
    return Malformed("the view of its storage is no triple");
  }
  PickledStorageView view;
  ASSIGN_OR_RETURN(view.offset, ReadInt(heap, heap.Items(id)[1], "view"));
  ASSIGN_OR_RETURN(view.size, ReadInt(heap, heap.Items(id)[2], "view"));
  return std::optional<PickledStorageView>(view);
}

}  // namespace

absl::StatusOr<TensorValue> DecodeTensor(const PickleHeap& heap, PickleId id) {
  // A Parameter in a Parameter is unusual enough; more is nobody's.
  constexpr int kMaxWrappers = 8;
  for (int i = 0; i < kMaxWrappers; ++i) {
    if (heap.kind(id) == PickleKind::kPersistent) {
      return TensorValue(TensorReference{id});
    }
    if (heap.kind(id) != PickleKind::kObject) return TensorValue(NoTensor{});
    PickleId callable = heap.Object(id).callable;
    absl::Span<const PickleId> arguments = ArgumentsOf(heap, id);
    const RebuildFunction* function = FindRebuildFunction(heap, callable);
    if (function == nullptr) {
      PickleId inner = kNoPickleId;
      ASSIGN_OR_RETURN(TensorValue value, ReadOldInstance(heap, id, &inner));
      if (inner == kNoPickleId) return value;
      id = inner;
      continue;
    }
    if (function->how == Rebuild::kFromType) {
      if (arguments.size() < 3 ||
          heap.kind(arguments[2]) != PickleKind::kTuple) {
        return Malformed("arguments are missing");
      }
      if (!IsPlainTensorClass(heap, arguments[1])) {
        return TensorValue(UnreadableTensor{
            absl::StrCat("tensor subclass ", GlobalName(heap, arguments[1]))});
      }
      function = FindRebuildFunction(heap, arguments[0]);
      arguments = heap.Items(arguments[2]);
      if (function == nullptr) return TensorValue(NoTensor{});
    }
    switch (function->how) {
      case Rebuild::kTensor:
      case Rebuild::kTensorV3:
        return ReadTensor(heap, arguments, function->how == Rebuild::kTensorV3);
      case Rebuild::kUnreadable:
        return TensorValue(UnreadableTensor{std::string(function->reason)});
      case Rebuild::kFirst:
        break;
      case Rebuild::kFromType:
        return Malformed("a class within a class");
    }
    if (arguments.empty()) return Malformed("arguments are missing");
    id = arguments[0];
  }
  return Malformed("it is wrapped too often");
}

StorageClass DecodeStorageClass(const PickleHeap& heap, PickleId id) {
  StorageClass result;
  result.type = id;
  if (heap.kind(id) != PickleKind::kGlobal) return result;
  // As torch.load, which looks at the name alone: the module was torch,
  // torch.cuda or torch.storage, depending on the version and the device.
  const absl::string_view name = heap.Global(id).name;
  for (const NamedStorageClass& known : kStorageClasses) {
    if (known.name != name) continue;
    result.element_size = known.element_size;
    result.dtype = known.dtype;
    result.untyped = absl::EndsWith(name, "UntypedStorage");
  }
  return result;
}

absl::StatusOr<PickledStorage> DecodeStorage(const PickleHeap& heap,
                                             PickleId id) {
  if (heap.kind(id) != PickleKind::kPersistent) {
    return Malformed("it has no storage");
  }
  const PickleId what = heap.Persistent(id);
  if (heap.kind(what) != PickleKind::kTuple || heap.Items(what).size() < 5 ||
      heap.Items(what).size() > 6) {
    return Malformed("its storage is no tuple of five or six");
  }
  const absl::Span<const PickleId> fields = heap.Items(what);
  const bool tagged = heap.kind(fields[0]) == PickleKind::kString ||
                      heap.kind(fields[0]) == PickleKind::kBytes;
  if (!tagged || heap.Text(fields[0]) != "storage") {
    return Malformed("its storage is no storage");
  }
  PickledStorage storage;
  storage.storage_class = DecodeStorageClass(heap, fields[1]);
  ASSIGN_OR_RETURN(storage.key, ReadStorageKey(heap, fields[2]));
  ASSIGN_OR_RETURN(storage.size, ReadInt(heap, fields[4], "storage's size"));
  if (fields.size() == 6) {
    ASSIGN_OR_RETURN(storage.view, ReadStorageView(heap, fields[5]));
  }
  return storage;
}

}  // namespace warmstart::format
