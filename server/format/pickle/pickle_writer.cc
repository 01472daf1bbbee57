#include "server/format/pickle/pickle_writer.h"

#include <limits>

#include "absl/strings/str_cat.h"

namespace warmstart::format {

PickleWriter::PickleWriter() : bytes_("\x80\x02") {}

void PickleWriter::LittleEndian(uint32_t value, int num_bytes) {
  for (int i = 0; i < num_bytes; ++i) {
    bytes_.push_back(static_cast<char>(value >> (8 * i)));
  }
}

PickleWriter::MemoIndex PickleWriter::Put() {
  const bool is_short = next_ <= 0xFF;
  Op(is_short ? 'q' : 'r');
  LittleEndian(next_, is_short ? 1 : 4);
  return next_++;
}

void PickleWriter::Get(MemoIndex index) {
  const bool is_short = index <= 0xFF;
  Op(is_short ? 'h' : 'j');
  LittleEndian(index, is_short ? 1 : 4);
}

PickleWriter::MemoIndex PickleWriter::String(absl::string_view utf8) {
  Op('X');
  LittleEndian(static_cast<uint32_t>(utf8.size()), 4);
  absl::StrAppend(&bytes_, utf8);
  return Put();
}

void PickleWriter::Constant(absl::string_view utf8) {
  const auto known = constants_.find(utf8);
  if (known != constants_.end()) {
    Get(known->second);
    return;
  }
  constants_.emplace(utf8, String(utf8));
}

void PickleWriter::Global(absl::string_view module, absl::string_view name) {
  const auto [global, is_new] = globals_.try_emplace(
      std::make_pair(std::string(module), std::string(name)), 0);
  if (!is_new) {
    Get(global->second);
    return;
  }
  absl::StrAppend(&bytes_, "c", module, "\n", name, "\n");
  global->second = Put();
}

void PickleWriter::Int(int64_t value) {
  if (value >= 0 && value <= 0xFF) {
    Op('K');
    LittleEndian(static_cast<uint32_t>(value), 1);
  } else if (value >= 0 && value <= 0xFFFF) {
    Op('M');
    LittleEndian(static_cast<uint32_t>(value), 2);
  } else if (value >= std::numeric_limits<int32_t>::min() &&
             value <= std::numeric_limits<int32_t>::max()) {
    Op('J');
    LittleEndian(static_cast<uint32_t>(value), 4);
  } else {
    // LONG1: as few bytes of two's complement as keep the sign.
    int num_bytes = 8;
    while (num_bytes > 1 &&
           value >> (8 * num_bytes - 9) == (value < 0 ? -1 : 0)) {
      --num_bytes;
    }
    Op('\x8a');
    bytes_.push_back(static_cast<char>(num_bytes));
    for (int i = 0; i < num_bytes; ++i) {
      bytes_.push_back(static_cast<char>(value >> (8 * i)));
    }
  }
}

void PickleWriter::EmptyDict() {
  Op('}');
  Put();
}

void PickleWriter::TupleSinceMark() {
  Op('t');
  Put();
}

void PickleWriter::TupleOfLast(int length) {
  Op(static_cast<char>(0x84 + length));  // TUPLE1, TUPLE2, TUPLE3
  Put();
}

void PickleWriter::Call() {
  Op('R');
  Put();
}

std::string PickleWriter::Finish() && {
  Op('.');
  return std::move(bytes_);
}

}  // namespace warmstart::format
