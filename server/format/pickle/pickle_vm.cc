#include "server/format/pickle/pickle_vm.h"

#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/base/status_macros.h"
#include "server/format/little_endian.h"
#include "server/format/pickle/pickle_opcodes.h"

namespace warmstart::format {
namespace {

constexpr uint8_t kHighestProtocol = 5;

}  // namespace

absl::StatusOr<PickleVm::Result> PickleVm::Load(size_t offset) {
  start_ = operation_ = next_ = offset;
  stack_.clear();
  marks_.clear();
  memo_.clear();
  memo_entries_ = 0;
  while (true) {
    operation_ = next_;
    if (next_ >= bytes_.size()) return Error("the pickle ends without a STOP");
    if (++operations_ > kMaxOperations) {
      return Error(absl::StrCat("more than ", kMaxOperations, " operations"));
    }
    const uint8_t opcode = static_cast<uint8_t>(bytes_[next_++]);
    if (opcode == pickle::kStop) {
      ASSIGN_OR_RETURN(const PickleId value, Pop());
      return Result{value, next_};
    }
    RETURN_IF_ERROR(Run(opcode));
  }
}

absl::Status PickleVm::Run(uint8_t opcode) {
  switch (opcode) {
    // Framing.
    case pickle::kProto: {
      ASSIGN_OR_RETURN(const uint64_t protocol, TakeNumber(1));
      if (protocol <= kHighestProtocol) return absl::OkStatus();
      return Error(absl::StrCat("unknown pickle protocol ", protocol));
    }
    case pickle::kFrame: {
      // Frames only tell a reader how much to fetch at once.
      ASSIGN_OR_RETURN(const uint64_t size, TakeNumber(8));
      if (size <= bytes_.size() - next_) return absl::OkStatus();
      return Error("a frame reaches past the end");
    }

    // Scalars.
    case pickle::kNone:
      return Push(heap_.AddNone());
    case pickle::kNewTrue:
      return Push(heap_.AddBool(true));
    case pickle::kNewFalse:
      return Push(heap_.AddBool(false));
    case pickle::kBinInt: {
      ASSIGN_OR_RETURN(const uint64_t value, TakeNumber(4));
      return Push(heap_.AddInt(static_cast<int32_t>(value)));
    }
    case pickle::kBinInt1:
      return PushInt(TakeNumber(1));
    case pickle::kBinInt2:
      return PushInt(TakeNumber(2));
    case pickle::kInt:
    case pickle::kLong:
      return PushIntLine();
    case pickle::kLong1:
    case pickle::kLong4: {
      ASSIGN_OR_RETURN(const absl::string_view value,
                       TakeCounted(opcode == pickle::kLong1 ? 1 : 4));
      return PushPythonInt(PythonIntFromBytes(value));
    }
    case pickle::kBinFloat:
      return PushFloat();
    case pickle::kFloat:
      return PushFloatLine();

    // Text and bytes.
    case pickle::kString:
      return PushDecodedLine(UnquotePythonString);
    case pickle::kUnicode:
      return PushDecodedLine(DecodeRawUnicodeEscape);
    case pickle::kShortBinString:
    case pickle::kShortBinUnicode:
      return PushText(PickleKind::kString, TakeCounted(1));
    case pickle::kBinString:
    case pickle::kBinUnicode:
      return PushText(PickleKind::kString, TakeCounted(4));
    case pickle::kBinUnicode8:
      return PushText(PickleKind::kString, TakeCounted(8));
    case pickle::kShortBinBytes:
      return PushText(PickleKind::kBytes, TakeCounted(1));
    case pickle::kBinBytes:
      return PushText(PickleKind::kBytes, TakeCounted(4));
    case pickle::kBinBytes8:
    case pickle::kByteArray8:
      return PushText(PickleKind::kBytes, TakeCounted(8));

    // Containers.
    case pickle::kEmptyTuple:
      return PushTuple(0);
    case pickle::kTuple1:
      return PushTuple(1);
    case pickle::kTuple2:
      return PushTuple(2);
    case pickle::kTuple3:
      return PushTuple(3);
    case pickle::kTuple: {
      ASSIGN_OR_RETURN(const absl::Span<const PickleId> items, PopToMark());
      return Push(heap_.AddTuple(items));
    }
    case pickle::kEmptyList:
      return Push(heap_.AddContainer(PickleKind::kList));
    case pickle::kEmptyDict:
      return Push(heap_.AddContainer(PickleKind::kDict));
    case pickle::kEmptySet:
      return Push(heap_.AddContainer(PickleKind::kSet));
    case pickle::kList:
      return PushContainer(PickleKind::kList);
    case pickle::kDict:
      return PushContainer(PickleKind::kDict);
    case pickle::kFrozenSet:
      return PushContainer(PickleKind::kSet);
    case pickle::kAppend: {
      ASSIGN_OR_RETURN(const PickleId item, Pop());
      return Append({item});
    }
    case pickle::kAppends:
    case pickle::kAddItems: {
      ASSIGN_OR_RETURN(const absl::Span<const PickleId> items, PopToMark());
      return Append(items);
    }
    case pickle::kSetItem: {
      ASSIGN_OR_RETURN(const PickleId value, Pop());
      ASSIGN_OR_RETURN(const PickleId key, Pop());
      return SetItems({key, value});
    }
    case pickle::kSetItems: {
      ASSIGN_OR_RETURN(const absl::Span<const PickleId> items, PopToMark());
      return SetItems(items);
    }

    // Objects.
    case pickle::kGlobal:
      return PushGlobalLines();
    case pickle::kStackGlobal:
      return PushStackGlobal();
    case pickle::kReduce:
    case pickle::kNewObj:
      return Call(0);
    case pickle::kNewObjEx:
      return Call(1);
    case pickle::kInst: {
      RETURN_IF_ERROR(PushGlobalLines());
      ASSIGN_OR_RETURN(const absl::Span<const PickleId> items, PopToMark());
      return PushInstance(items.back(), items.first(items.size() - 1));
    }
    case pickle::kObj: {
      ASSIGN_OR_RETURN(const absl::Span<const PickleId> items, PopToMark());
      if (items.empty()) return Error("an object has no class");
      return PushInstance(items.front(), items.subspan(1));
    }
    case pickle::kBuild:
      return Build();
    case pickle::kBinPersId:
      return PushPersistent(Pop());
    case pickle::kPersId: {
      ASSIGN_OR_RETURN(const absl::string_view line, TakeLine());
      return PushPersistent(heap_.AddText(PickleKind::kString, line));
    }

    // The stack and the memo.
    case pickle::kMark:
      marks_.push_back(stack_.size());
      return absl::OkStatus();
    case pickle::kPop:
      return PopOrUnmark();
    case pickle::kPopMark:
      return PopToMark().status();
    case pickle::kDup: {
      ASSIGN_OR_RETURN(const absl::Span<const PickleId> top, Top(1));
      return Push(top[0]);
    }
    case pickle::kMemoize:
      return Memoize(memo_entries_);
    case pickle::kBinPut:
      return Memoize(TakeNumber(1));
    case pickle::kLongBinPut:
      return Memoize(TakeNumber(4));
    case pickle::kPut:
      return Memoize(TakeDecimal());
    case pickle::kBinGet:
      return Recall(TakeNumber(1));
    case pickle::kLongBinGet:
      return Recall(TakeNumber(4));
    case pickle::kGet:
      return Recall(TakeDecimal());

    case pickle::kExt1:
    case pickle::kExt2:
    case pickle::kExt4:
      return Error("the pickle needs a copyreg extension of its writer's");
    case pickle::kNextBuffer:
    case pickle::kReadonlyBuffer:
      return Error("the pickle needs buffers that are not in the file");
    default:
      return Error(absl::StrFormat("unknown opcode 0x%02x", opcode));
  }
}

absl::Status PickleVm::Error(absl::string_view what) const {
  return absl::InvalidArgumentError(
      absl::StrCat("malformed pickle: ", what, ", at byte ", operation_));
}

// What follows the opcode.

absl::StatusOr<absl::string_view> PickleVm::Take(uint64_t size) {
  if (size > bytes_.size() - next_) {
    return Error(absl::StrCat("it needs ", size, " bytes where ",
                              bytes_.size() - next_, " are left"));
  }
  const absl::string_view taken = bytes_.substr(next_, size);
  next_ += size;
  return taken;
}

absl::StatusOr<uint64_t> PickleVm::TakeNumber(int width) {
  ASSIGN_OR_RETURN(const absl::string_view bytes, Take(width));
  switch (width) {
    case 1:
      return LoadLittleEndian<uint8_t>(bytes.data());
    case 2:
      return LoadLittleEndian<uint16_t>(bytes.data());
    case 4:
      return LoadLittleEndian<uint32_t>(bytes.data());
    default:
      return LoadLittleEndian<uint64_t>(bytes.data());
  }
}

absl::StatusOr<absl::string_view> PickleVm::TakeCounted(int width) {
  ASSIGN_OR_RETURN(const uint64_t size, TakeNumber(width));
  return Take(size);
}

absl::StatusOr<absl::string_view> PickleVm::TakeLine() {
  const size_t newline = bytes_.find('\n', next_);
  if (newline == absl::string_view::npos) return Error("a line has no end");
  const absl::string_view line = bytes_.substr(next_, newline - next_);
  next_ = newline + 1;
  return line;
}

absl::StatusOr<uint64_t> PickleVm::TakeDecimal() {
  ASSIGN_OR_RETURN(const absl::string_view line, TakeLine());
  uint64_t value;
  if (!absl::SimpleAtoi(line, &value)) return Error("bad memo index");
  return value;
}

// The stack.

size_t PickleVm::StackFloor() const {
  return marks_.empty() ? 0 : marks_.back();
}

absl::StatusOr<absl::Span<const PickleId>> PickleVm::Top(size_t count) const {
  if (stack_.size() - StackFloor() < count) return Error("stack underflow");
  return absl::MakeConstSpan(stack_).last(count);
}

absl::StatusOr<PickleId> PickleVm::Pop() {
  ASSIGN_OR_RETURN(const absl::Span<const PickleId> top, Top(1));
  const PickleId id = top[0];
  stack_.pop_back();
  return id;
}

absl::StatusOr<absl::Span<const PickleId>> PickleVm::PopToMark() {
  if (marks_.empty()) return Error("no mark");
  const auto items = absl::MakeConstSpan(stack_).subspan(marks_.back());
  marked_.assign(items.begin(), items.end());
  stack_.resize(marks_.back());
  marks_.pop_back();
  return absl::MakeConstSpan(marked_);
}

absl::Status PickleVm::Push(PickleId id) {
  stack_.push_back(id);
  return absl::OkStatus();
}

absl::Status PickleVm::PopOrUnmark() {
  if (stack_.size() == StackFloor() && !marks_.empty()) {
    marks_.pop_back();
    return absl::OkStatus();
  }
  return Pop().status();
}

// Values.

absl::Status PickleVm::PushInt(const absl::StatusOr<uint64_t>& value) {
  RETURN_IF_ERROR(value.status());
  return Push(heap_.AddInt(static_cast<int64_t>(*value)));
}

absl::Status PickleVm::PushPythonInt(const PythonInt& value) {
  if (value.small) return Push(heap_.AddInt(*value.small));
  return PushText(PickleKind::kBigInt, heap_.Keep(value.decimal));
}

absl::Status PickleVm::PushIntLine() {
  ASSIGN_OR_RETURN(const absl::string_view line, TakeLine());
  // How protocols 0 and 1 write False and True.
  if (line == "00") return Push(heap_.AddBool(false));
  if (line == "01") return Push(heap_.AddBool(true));
  const std::optional<PythonInt> value = PythonIntFromText(line);
  if (!value) return Error("bad integer");
  return PushPythonInt(*value);
}

absl::Status PickleVm::PushFloat() {
  ASSIGN_OR_RETURN(const absl::string_view big_endian, Take(8));
  const std::string little_endian(big_endian.rbegin(), big_endian.rend());
  const uint64_t bits = LoadLittleEndian<uint64_t>(little_endian.data());
  double value;
  std::memcpy(&value, &bits, sizeof(value));
  return Push(heap_.AddFloat(value));
}

absl::Status PickleVm::PushFloatLine() {
  ASSIGN_OR_RETURN(const absl::string_view line, TakeLine());
  double value;
  if (!absl::SimpleAtod(line, &value)) return Error("bad number");
  return Push(heap_.AddFloat(value));
}

absl::Status PickleVm::PushText(PickleKind kind,
                                const absl::StatusOr<absl::string_view>& text) {
  RETURN_IF_ERROR(text.status());
  if (text->size() > UINT32_MAX) return Error("a text of more than 4 GiB");
  return Push(heap_.AddText(kind, *text));
}

absl::Status PickleVm::PushDecodedLine(
    std::optional<std::string> (*decode)(absl::string_view)) {
  ASSIGN_OR_RETURN(const absl::string_view line, TakeLine());
  std::optional<std::string> text = decode(line);
  if (!text) return Error("bad text literal");
  return PushText(PickleKind::kString, heap_.Keep(*std::move(text)));
}

absl::Status PickleVm::PushTuple(size_t count) {
  ASSIGN_OR_RETURN(const absl::Span<const PickleId> items, Top(count));
  const PickleId tuple = heap_.AddTuple(items);
  stack_.resize(stack_.size() - count);
  return Push(tuple);
}

absl::Status PickleVm::PushContainer(PickleKind kind) {
  ASSIGN_OR_RETURN(const absl::Span<const PickleId> items, PopToMark());
  if (kind == PickleKind::kDict && items.size() % 2 != 0) {
    return Error("a dict has a key without a value");
  }
  const PickleId container = heap_.AddContainer(kind);
  for (PickleId item : items) heap_.Append(container, item);
  return Push(container);
}

absl::Status PickleVm::Append(absl::Span<const PickleId> items) {
  ASSIGN_OR_RETURN(const absl::Span<const PickleId> top, Top(1));
  PickleId target = top[0];
  if (heap_.kind(target) == PickleKind::kObject) {
    target = heap_.ListItemsOf(target);
  }
  if (heap_.kind(target) != PickleKind::kList &&
      heap_.kind(target) != PickleKind::kSet) {
    return Error("items for a value that takes none");
  }
  for (PickleId item : items) heap_.Append(target, item);
  return absl::OkStatus();
}

absl::Status PickleVm::SetItems(absl::Span<const PickleId> items) {
  if (items.size() % 2 != 0) return Error("a dict has a key without a value");
  ASSIGN_OR_RETURN(const absl::Span<const PickleId> top, Top(1));
  PickleId target = top[0];
  if (heap_.kind(target) == PickleKind::kObject) {
    target = heap_.DictItemsOf(target);
  }
  if (heap_.kind(target) != PickleKind::kDict) {
    return Error("keys for a value that takes none");
  }
  for (PickleId item : items) heap_.Append(target, item);
  return absl::OkStatus();
}

// Objects.

absl::Status PickleVm::PushGlobalLines() {
  ASSIGN_OR_RETURN(const absl::string_view module, TakeLine());
  ASSIGN_OR_RETURN(const absl::string_view name, TakeLine());
  return Push(heap_.AddGlobal({module, name}));
}

absl::Status PickleVm::PushStackGlobal() {
  ASSIGN_OR_RETURN(const PickleId name, Pop());
  ASSIGN_OR_RETURN(const PickleId module, Pop());
  if (heap_.kind(name) != PickleKind::kString ||
      heap_.kind(module) != PickleKind::kString) {
    return Error("the name of a class is no text");
  }
  return Push(heap_.AddGlobal({heap_.Text(module), heap_.Text(name)}));
}

absl::Status PickleVm::PushInstance(PickleId callable,
                                    absl::Span<const PickleId> arguments) {
  return Push(heap_.AddObject(callable, heap_.AddTuple(arguments)));
}

absl::Status PickleVm::PushPersistent(const absl::StatusOr<PickleId>& what) {
  RETURN_IF_ERROR(what.status());
  return Push(heap_.AddPersistent(*what));
}

absl::Status PickleVm::Call(size_t extra) {
  ASSIGN_OR_RETURN(const absl::Span<const PickleId> top, Top(2 + extra));
  const PickleId object = heap_.AddObject(top[0], top[1]);
  stack_.resize(stack_.size() - 2 - extra);
  return Push(object);
}

absl::Status PickleVm::Build() {
  ASSIGN_OR_RETURN(const PickleId state, Pop());
  ASSIGN_OR_RETURN(const absl::Span<const PickleId> top, Top(1));
  if (heap_.kind(top[0]) != PickleKind::kObject) {
    return Error("a state for a value that takes none");
  }
  heap_.SetState(top[0], state);
  return absl::OkStatus();
}

// The memo.

absl::Status PickleVm::Memoize(const absl::StatusOr<uint64_t>& index) {
  RETURN_IF_ERROR(index.status());
  ASSIGN_OR_RETURN(const absl::Span<const PickleId> top, Top(1));
  // Picklers count their entries from 0, and each takes at least a byte.
  if (*index > next_ - start_)
    return Error("a memo index is out of all bounds");
  if (*index >= memo_.size()) memo_.resize(*index + 1, kNoPickleId);
  if (memo_[*index] == kNoPickleId) ++memo_entries_;
  memo_[*index] = top[0];
  return absl::OkStatus();
}

absl::Status PickleVm::Recall(const absl::StatusOr<uint64_t>& index) {
  RETURN_IF_ERROR(index.status());
  if (*index >= memo_.size() || memo_[*index] == kNoPickleId) {
    return Error(absl::StrCat("nothing is memoized as ", *index));
  }
  return Push(memo_[*index]);
}

}  // namespace warmstart::format
