// PickleVm: a restricted unpickler. It builds values and runs nothing: a class
// or function is a name, and a call is recorded as an object with its
// arguments.

#ifndef WARMSTART_SERVER_FORMAT_PICKLE_PICKLE_VM_H_
#define WARMSTART_SERVER_FORMAT_PICKLE_PICKLE_VM_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/format/pickle/pickle_heap.h"
#include "server/format/pickle/pickle_text.h"

namespace warmstart::format {

// Understands protocols 0 to 5, but for out-of-band buffers and the extension
// registry, which mean nothing outside of the process that wrote them. Python's
// own unpickler defines what is right; where it would raise, this one returns
// INVALID_ARGUMENT with the byte offset of the opcode. Not thread-safe.
class PickleVm {
 public:
  // What all pickles that one PickleVm reads may have together. A tensor takes
  // about 60 operations. It bounds memory to some 1.4 GB at the very worst.
  static constexpr int64_t kMaxOperations = int64_t{1} << 25;

  struct Result {
    PickleId value;
    size_t end;  // offset of the byte after the pickle
  };

  // Offsets, in messages too, count from the start of `bytes`. Both must
  // outlive the values that were read.
  PickleVm(absl::string_view bytes, PickleHeap* heap)
      : bytes_(bytes), heap_(*heap) {}

  // Reads the pickle that starts at `offset`. An earlier pickle's memo is not
  // seen by a later one.
  absl::StatusOr<Result> Load(size_t offset);

 private:
  absl::Status Run(uint8_t opcode);

  absl::Status Error(absl::string_view what) const;
  // What follows the opcode: `size` bytes, a little-endian number, bytes with
  // their count before them, or a line (without its newline).
  absl::StatusOr<absl::string_view> Take(uint64_t size);
  absl::StatusOr<uint64_t> TakeNumber(int width);
  absl::StatusOr<absl::string_view> TakeCounted(int width);
  absl::StatusOr<absl::string_view> TakeLine();
  absl::StatusOr<uint64_t> TakeDecimal();

  // The stack. No opcode reaches below the last mark. Spans are good until the
  // next push or PopToMark.
  size_t StackFloor() const;
  absl::StatusOr<absl::Span<const PickleId>> Top(size_t count) const;
  absl::StatusOr<PickleId> Pop();
  absl::StatusOr<absl::Span<const PickleId>> PopToMark();
  absl::Status Push(PickleId id);

  absl::Status PushInt(const absl::StatusOr<uint64_t>& value);
  absl::Status PushPythonInt(const PythonInt& value);
  absl::Status PushIntLine();
  absl::Status PushFloat();
  absl::Status PushFloatLine();
  absl::Status PushText(PickleKind kind,
                        const absl::StatusOr<absl::string_view>& text);
  absl::Status PushDecodedLine(
      std::optional<std::string> (*decode)(absl::string_view));
  absl::Status PushTuple(size_t count);
  absl::Status PushContainer(PickleKind kind);
  absl::Status PushGlobalLines();
  absl::Status PushStackGlobal();
  absl::Status PushInstance(PickleId callable,
                            absl::Span<const PickleId> arguments);
  absl::Status PushPersistent(const absl::StatusOr<PickleId>& what);

  absl::Status PopOrUnmark();
  absl::Status Append(absl::Span<const PickleId> items);
  absl::Status SetItems(absl::Span<const PickleId> items);
  // Replaces callable and arguments, and `extra` values above them, by an
  // object.
  absl::Status Call(size_t extra);
  absl::Status Build();

  absl::Status Memoize(const absl::StatusOr<uint64_t>& index);
  absl::Status Recall(const absl::StatusOr<uint64_t>& index);

  const absl::string_view bytes_;
  PickleHeap& heap_;
  int64_t operations_ = 0;

  size_t start_ = 0;      // of this pickle
  size_t operation_ = 0;  // offset of the opcode that runs
  size_t next_ = 0;       // offset of the next byte
  std::vector<PickleId> stack_;
  std::vector<size_t> marks_;
  std::vector<PickleId> marked_;  // what PopToMark gave last
  std::vector<PickleId> memo_;
  uint64_t memo_entries_ = 0;
};

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_PICKLE_PICKLE_VM_H_
