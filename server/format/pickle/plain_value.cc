#include "server/format/pickle/plain_value.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/format/key_check.h"
#include "server/format/little_endian.h"
#include "server/format/pickle/pickle_text.h"
#include "server/format/pickle/pickled_object.h"
#include "server/model/dtype.h"
#include "server/model/utf8.h"

namespace warmstart::format {
namespace {

std::string DumpJson(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json TextJson(absl::string_view text) {
  return Json(std::string(text.data(), text.size()));
}

Json IntJson(int64_t value) {
  constexpr int64_t kExact = int64_t{1} << 53;
  if (value >= -kExact && value <= kExact) return Json(value);
  return Json(std::to_string(value));
}

Json FloatJson(double value) {
  if (std::isnan(value)) return Json("NaN");
  if (std::isinf(value)) return Json(value > 0 ? "Infinity" : "-Infinity");
  return Json(value);
}

// The text in _codecs.encode(text, "latin1"), the detour that protocols below 3
// take for bytes; kNoPickleId for other values.
PickleId EncodedText(const PickleHeap& heap, PickleId id) {
  if (heap.kind(id) != PickleKind::kObject ||
      !IsGlobal(heap, heap.Object(id).callable, "_codecs", "encode")) {
    return kNoPickleId;
  }
  const absl::Span<const PickleId> arguments = ArgumentsOf(heap, id);
  if (arguments.empty() || heap.kind(arguments[0]) != PickleKind::kString) {
    return kNoPickleId;
  }
  return arguments[0];
}

// The few bytes of a number; Python 2 wrote them as text.
std::optional<std::string> NumberBytes(const PickleHeap& heap, PickleId id) {
  constexpr size_t kMaxSize = 64;
  const PickleId encoded = EncodedText(heap, id);
  const PickleId text = encoded == kNoPickleId ? id : encoded;
  if ((heap.kind(text) != PickleKind::kBytes &&
       heap.kind(text) != PickleKind::kString) ||
      heap.Text(text).size() > kMaxSize) {
    return std::nullopt;
  }
  if (encoded != kNoPickleId) return EncodeLatin1(heap.Text(text));
  return std::string(heap.Text(text));
}

// "f8" from the dtype's arguments, and the byte order from its state.
struct NumpyType {
  std::string code;
  bool big_endian = false;
};

std::optional<NumpyType> ReadNumpyType(const PickleHeap& heap, PickleId id) {
  if (heap.kind(id) != PickleKind::kObject ||
      !IsGlobal(heap, heap.Object(id).callable, "numpy", "dtype") ||
      ArgumentsOf(heap, id).empty() ||
      heap.kind(ArgumentsOf(heap, id)[0]) != PickleKind::kString ||
      heap.Text(ArgumentsOf(heap, id)[0]).size() != 2) {
    return std::nullopt;
  }
  NumpyType type;
  type.code = std::string(heap.Text(ArgumentsOf(heap, id)[0]));
  const PickleId state = heap.Object(id).state;
  if (state != kNoPickleId && heap.kind(state) == PickleKind::kTuple &&
      heap.Items(state).size() > 1 &&
      heap.kind(heap.Items(state)[1]) == PickleKind::kString) {
    type.big_endian = heap.Text(heap.Items(state)[1]) == ">";
  }
  return type;
}

template <typename Float, typename Bits>
Float LoadFloat(absl::string_view little_endian) {
  static_assert(sizeof(Float) == sizeof(Bits));
  const Bits bits = LoadLittleEndian<Bits>(little_endian.data());
  Float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// numpy.core.multiarray.scalar(dtype, bytes).
std::optional<Json> NumpyScalar(const PickleHeap& heap, PickleId id) {
  const PickleId callable = heap.Object(id).callable;
  if (!IsGlobal(heap, callable, "numpy.core.multiarray", "scalar") &&
      !IsGlobal(heap, callable, "numpy._core.multiarray", "scalar")) {
    return std::nullopt;
  }
  const absl::Span<const PickleId> arguments = ArgumentsOf(heap, id);
  if (arguments.size() != 2) return std::nullopt;
  const std::optional<NumpyType> type = ReadNumpyType(heap, arguments[0]);
  std::optional<std::string> bytes = NumberBytes(heap, arguments[1]);
  if (!type || !bytes || bytes->empty() ||
      bytes->size() != static_cast<size_t>(type->code[1] - '0')) {
    return std::nullopt;
  }
  if (type->big_endian) std::reverse(bytes->begin(), bytes->end());
  const bool top_bit = (static_cast<uint8_t>(bytes->back()) & 0x80) != 0;
  switch (type->code[0]) {
    case 'b':
      return Json(bytes->front() != 0);
    case 'i':
      return IntJson(*PythonIntFromBytes(*bytes).small);
    case 'u':
      if (top_bit && bytes->size() == 8) {
        return Json(std::to_string(LoadLittleEndian<uint64_t>(bytes->data())));
      }
      return IntJson(
          *PythonIntFromBytes(*bytes + std::string(8 - bytes->size(), '\0'))
               .small);
    case 'f':
      if (bytes->size() == 8) {
        return FloatJson(LoadFloat<double, uint64_t>(*bytes));
      }
      if (bytes->size() == 4) {
        return FloatJson(LoadFloat<float, uint32_t>(*bytes));
      }
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

// The text in torch.device(text) or torch.device(text, index); kNoPickleId for
// other values.
PickleId DeviceName(const PickleHeap& heap, PickleId id) {
  if (!IsGlobal(heap, heap.Object(id).callable, "torch", "device")) {
    return kNoPickleId;
  }
  const absl::Span<const PickleId> arguments = ArgumentsOf(heap, id);
  if (arguments.empty() || heap.kind(arguments[0]) != PickleKind::kString) {
    return kNoPickleId;
  }
  return arguments[0];
}

std::optional<Json> TorchDevice(const PickleHeap& heap, PickleId id) {
  const PickleId text = DeviceName(heap, id);
  if (text == kNoPickleId) return std::nullopt;
  std::string name(heap.Text(text));
  const absl::Span<const PickleId> arguments = ArgumentsOf(heap, id);
  if (arguments.size() > 1 && heap.kind(arguments[1]) == PickleKind::kInt) {
    absl::StrAppend(&name, ":", heap.Int(arguments[1]));
  }
  return Json(name);
}

}  // namespace

std::optional<Json> PlainScalar(const PickleHeap& heap, PickleId id) {
  switch (heap.kind(id)) {
    case PickleKind::kNone:
      return Json(nullptr);
    case PickleKind::kBool:
      return Json(heap.Bool(id));
    case PickleKind::kInt:
      return IntJson(heap.Int(id));
    case PickleKind::kBigInt:
      if (heap.Text(id).empty()) return std::nullopt;
      return TextJson(heap.Text(id));
    case PickleKind::kFloat:
      return FloatJson(heap.Float(id));
    case PickleKind::kString:
      return TextJson(heap.Text(id));
    case PickleKind::kBytes:
      if (!IsUtf8(heap.Text(id))) return std::nullopt;
      return TextJson(heap.Text(id));
    case PickleKind::kGlobal:
      if (heap.Global(id).module == "torch" &&
          ParseDType(heap.Global(id).name).ok()) {
        return Json(absl::StrCat("torch.", heap.Global(id).name));
      }
      return std::nullopt;
    case PickleKind::kObject: {
      if (std::optional<Json> scalar = NumpyScalar(heap, id)) return scalar;
      if (std::optional<Json> device = TorchDevice(heap, id)) return device;
      const PickleId text = EncodedText(heap, id);
      if (text == kNoPickleId) return std::nullopt;
      const std::optional<std::string> bytes = EncodeLatin1(heap.Text(text));
      if (!bytes || !IsUtf8(*bytes)) return std::nullopt;
      return Json(*bytes);
    }
    default:
      return std::nullopt;
  }
}

size_t ScalarTextSize(const PickleHeap& heap, PickleId id) {
  switch (heap.kind(id)) {
    case PickleKind::kString:
    case PickleKind::kBytes:
    case PickleKind::kBigInt:
      return heap.Text(id).size();
    case PickleKind::kObject: {
      size_t size = 0;
      for (PickleId part : {EncodedText(heap, id), DeviceName(heap, id)}) {
        if (part != kNoPickleId) size += heap.Text(part).size();
      }
      return size;
    }
    default:
      return 0;
  }
}

std::optional<std::string> PlainKey(const PickleHeap& heap, PickleId id) {
  switch (heap.kind(id)) {
    case PickleKind::kNone:
      return "None";
    case PickleKind::kBool:
      return heap.Bool(id) ? "True" : "False";
    case PickleKind::kInt:
      return std::to_string(heap.Int(id));
    case PickleKind::kFloat:
      return Json(heap.Float(id)).dump();
    case PickleKind::kBigInt:
      if (heap.Text(id).empty()) return std::nullopt;
      return std::string(heap.Text(id));
    case PickleKind::kString:
      return std::string(heap.Text(id));
    case PickleKind::kBytes:
      if (!IsUtf8(heap.Text(id))) return std::nullopt;
      return std::string(heap.Text(id));
    default:
      return std::nullopt;
  }
}

std::string MetadataText(Json object, size_t max_bytes,
                         std::vector<SkippedValue>* skipped) {
  if (object.empty()) return "";
  std::string text = DumpJson(object);
  if (text.size() <= max_bytes) return text;
  std::vector<std::pair<size_t, std::string>> members;
  for (const auto& member : object.items()) {
    members.emplace_back(DumpJson(member.value()).size(), member.key());
  }
  std::sort(members.begin(), members.end());
  size_t size = text.size();
  while (size > max_bytes && !members.empty()) {
    const auto& [member_size, key] = members.back();
    skipped->push_back(
        {PrintablePath(key),
         absl::StrCat("plain values of ", member_size,
                      " bytes, too much for a checkpoint's metadata")});
    object.erase(key);
    size -= std::min(size, member_size);
    members.pop_back();
  }
  return object.empty() ? "" : DumpJson(object);
}

std::string PrintablePath(absl::string_view path) {
  return CheckKey(path).ok() ? std::string(path) : absl::CHexEscape(path);
}

}  // namespace warmstart::format
