// Memory that cannot be written, as a mapped pack is.

#ifndef WARMSTART_TESTS_TORCH_READ_ONLY_PAGE_H_
#define WARMSTART_TESTS_TORCH_READ_ONLY_PAGE_H_

#include <sys/mman.h>

#include <cstddef>

#include "absl/strings/string_view.h"

namespace warmstart::backend::testing {

// A copy of `bytes`; whoever writes to it ends the process.
class ReadOnlyPage {
 public:
  explicit ReadOnlyPage(absl::string_view bytes)
      : size_(bytes.size()), mapped_(size_ == 0 ? 1 : size_) {
    page_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bytes.copy(static_cast<char*>(page_), size_);
    mprotect(page_, mapped_, PROT_READ);
  }
  ~ReadOnlyPage() { munmap(page_, mapped_); }
  ReadOnlyPage(const ReadOnlyPage&) = delete;
  ReadOnlyPage& operator=(const ReadOnlyPage&) = delete;

  absl::string_view bytes() const {
    return absl::string_view(static_cast<char*>(page_), size_);
  }

 private:
  size_t size_;
  size_t mapped_;
  void* page_;
};

}  // namespace warmstart::backend::testing

#endif  // WARMSTART_TESTS_TORCH_READ_ONLY_PAGE_H_
