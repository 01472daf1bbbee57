// LoadedPickle: a hand-made value, read into a heap.

#ifndef WARMSTART_TESTS_FORMAT_LOADED_PICKLE_H_
#define WARMSTART_TESTS_FORMAT_LOADED_PICKLE_H_

#include <string>

#include "gtest/gtest.h"
#include "server/format/pickle/pickle_heap.h"
#include "server/format/pickle/pickle_vm.h"

namespace warmstart::format {

class LoadedPickle {
 public:
  // `value` is opcodes as hand_made has them.
  explicit LoadedPickle(const std::string& value) : bytes_(value + ".") {
    const absl::StatusOr<PickleVm::Result> result =
        PickleVm(bytes_, &heap_).Load(0);
    EXPECT_TRUE(result.ok()) << result.status();
    if (result.ok()) root_ = result->value;
  }

  const std::string& bytes() const { return bytes_; }
  const PickleHeap& heap() const { return heap_; }
  PickleId root() const { return root_; }

 private:
  const std::string bytes_;
  PickleHeap heap_;
  PickleId root_ = 0;
};

}  // namespace warmstart::format

#endif  // WARMSTART_TESTS_FORMAT_LOADED_PICKLE_H_
