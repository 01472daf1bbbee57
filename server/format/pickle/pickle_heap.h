// PickleHeap: the values that a pickle describes, as plain data.
//
// Values are named by small numbers and live in flat arrays, so that a hostile
// pickle's nesting is nobody's recursion, cycles are harmless, and all of it is
// freed at once. Text refers to the bytes of the file where it can.

#ifndef WARMSTART_SERVER_FORMAT_PICKLE_PICKLE_HEAP_H_
#define WARMSTART_SERVER_FORMAT_PICKLE_PICKLE_HEAP_H_

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace warmstart::format {

enum class PickleKind : uint8_t {
  kNone,
  kBool,
  kInt,     // fits in an int64
  kBigInt,  // does not; its text is decimal, or "" when it is absurdly long
  kFloat,
  kString,  // not necessarily UTF-8: Python 2 wrote its byte strings so
  kBytes,
  kTuple,
  kList,
  kSet,
  kDict,        // items are key, value, key, value...
  kGlobal,      // the name of a class or function; nobody looks it up
  kPersistent,  // a reference to something outside the pickle
  kObject,      // what a call would have made; nobody calls
};

using PickleId = uint32_t;

// Names no value.
inline constexpr PickleId kNoPickleId = UINT32_MAX;

// callable(*arguments), then what the pickle put into the result.
struct PickleObject {
  PickleId callable = kNoPickleId;
  PickleId arguments = kNoPickleId;   // a tuple, or nothing
  PickleId state = kNoPickleId;       // what __setstate__ would have got
  PickleId list_items = kNoPickleId;  // a list of what was appended
  PickleId dict_items = kNoPickleId;  // a dict of what was set by key
};

struct PickleGlobal {
  absl::string_view module;
  absl::string_view name;
};

// Ids that are passed in must be of this heap, and of the kind that a method
// names. Spans and references are good until the next Add or Append. Not
// thread-safe while it is being filled.
class PickleHeap {
 public:
  PickleHeap();
  PickleHeap(const PickleHeap&) = delete;
  PickleHeap& operator=(const PickleHeap&) = delete;

  PickleId AddNone() const { return kNoneId; }
  PickleId AddBool(bool value) const { return value ? kTrueId : kFalseId; }
  PickleId AddInt(int64_t value);
  PickleId AddFloat(double value);
  // kString, kBytes or kBigInt. The text must outlive the heap; Keep sees to
  // that where it is not part of the file.
  PickleId AddText(PickleKind kind, absl::string_view text);
  absl::string_view Keep(std::string text);
  PickleId AddTuple(absl::Span<const PickleId> items);
  // An empty kList, kSet or kDict.
  PickleId AddContainer(PickleKind kind);
  PickleId AddGlobal(const PickleGlobal& global);
  PickleId AddPersistent(PickleId what);
  PickleId AddObject(PickleId callable, PickleId arguments);

  // Appends to a kList, kSet or kDict; to the latter a key or a value.
  void Append(PickleId container, PickleId item);
  // The containers of what a kObject got; empty ones are made where there are
  // none yet.
  PickleId ListItemsOf(PickleId object);
  PickleId DictItemsOf(PickleId object);
  void SetState(PickleId object, PickleId state);

  PickleKind kind(PickleId id) const { return cells_[id].kind; }
  size_t size() const { return cells_.size(); }

  bool Bool(PickleId id) const { return cells_[id].payload.integer != 0; }
  int64_t Int(PickleId id) const { return cells_[id].payload.integer; }
  double Float(PickleId id) const { return cells_[id].payload.real; }
  // Of kString, kBytes, kBigInt.
  absl::string_view Text(PickleId id) const;
  // Of kTuple, kList, kSet, kDict.
  absl::Span<const PickleId> Items(PickleId id) const;
  const PickleGlobal& Global(PickleId id) const {
    return globals_[cells_[id].extra];
  }
  PickleId Persistent(PickleId id) const { return cells_[id].extra; }
  const PickleObject& Object(PickleId id) const {
    return objects_[cells_[id].extra];
  }

 private:
  // 16 bytes: a hostile pickle makes a value with each byte.
  struct Cell {
    PickleKind kind;
    uint32_t extra;  // length of text or tuple, or an index
    union {
      int64_t integer;
      double real;
      const char* text;
      size_t first;  // of a tuple's items in tuple_items_
    } payload;
  };

  static constexpr PickleId kNoneId = 0;
  static constexpr PickleId kFalseId = 1;
  static constexpr PickleId kTrueId = 2;
  static constexpr PickleId kSmallIntsId = 3;
  static constexpr int64_t kSmallInts = 256;
  // `extra` of a container that nothing was appended to yet.
  static constexpr uint32_t kEmpty = UINT32_MAX;

  PickleId Add(PickleKind kind, uint32_t extra);

  std::vector<Cell> cells_;
  std::vector<PickleId> tuple_items_;
  std::vector<std::vector<PickleId>> containers_;
  std::vector<PickleGlobal> globals_;
  std::vector<PickleObject> objects_;
  std::deque<std::string> kept_;
};

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_PICKLE_PICKLE_HEAP_H_
