#include "server/store/uploads/upload.h"

#include <algorithm>
#include <limits>

namespace warmstart::store {

int64_t NumBytes(absl::Span<const UploadFile> files) {
  int64_t sum = 0;
  for (const UploadFile& file : files) {
    sum += std::min(file.num_bytes, std::numeric_limits<int64_t>::max() - sum);
  }
  return sum;
}

}  // namespace warmstart::store
