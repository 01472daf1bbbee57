// PickleWriter: the opcodes of pickle protocol 2, as CPython's pickler uses
// them.

#ifndef WARMSTART_SERVER_FORMAT_PICKLE_PICKLE_WRITER_H_
#define WARMSTART_SERVER_FORMAT_PICKLE_PICKLE_WRITER_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace warmstart::format {

// Each method appends what CPython's C pickler would, memo included: it gives
// every string, tuple, class and reduced object the next number in the memo,
// needed or not, and so do we, in order to write the same bytes. Not
// thread-safe.
class PickleWriter {
 public:
  using MemoIndex = uint32_t;

  PickleWriter();

  // A string that is an object of its own.
  MemoIndex String(absl::string_view utf8);
  // A string that is the same object wherever it occurs, as Python's constants
  // are.
  void Constant(absl::string_view utf8);
  // A class or function, by name.
  void Global(absl::string_view module, absl::string_view name);
  // An object that was written before.
  void Get(MemoIndex index);

  void Int(int64_t value);
  void False() { Op('\x89'); }
  void EmptyTuple() { Op(')'); }
  void EmptyDict();

  void Mark() { Op('('); }
  void TupleSinceMark();         // of all that came since the mark
  void TupleOfLast(int length);  // of the last 1, 2 or 3 values
  void Call();                   // the callable and its tuple of arguments
  void PersistentId() { Op('Q'); }
  void SetItem() { Op('s'); }   // the dict, a key, a value
  void SetItems() { Op('u'); }  // the dict, a mark, keys and values
  void Build() { Op('b'); }     // an object and its state

  // The finished pickle. Call once, last.
  std::string Finish() &&;

 private:
  void Op(char opcode) { bytes_.push_back(opcode); }
  void LittleEndian(uint32_t value, int num_bytes);
  MemoIndex Put();

  std::string bytes_;
  MemoIndex next_ = 0;
  absl::flat_hash_map<std::string, MemoIndex> constants_;
  absl::flat_hash_map<std::pair<std::string, std::string>, MemoIndex> globals_;
};

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_PICKLE_PICKLE_WRITER_H_
