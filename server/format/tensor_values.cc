// The values of a tensor as the store keeps them, from wherever they stand.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "server/base/status_macros.h"
#include "server/format/reader.h"
#include "server/model/dtype.h"

namespace warmstart::format {
namespace {

using Sink = absl::FunctionRef<absl::Status(absl::string_view)>;

constexpr int64_t kPieceBytes = int64_t{2} << 20;
// Side of the tiles in which transposed tensors are read: a tile of 16-byte
// elements and the cache lines that it is spread over fit in the first cache.
constexpr int64_t kTile = 16;

bool HasContiguousStrides(const FileTensor& tensor) {
  const std::vector<int64_t> expected = tensor.spec.shape().ContiguousStrides();
  for (int i = 0; i < tensor.spec.shape().rank(); ++i) {
    if (tensor.spec.shape().sizes()[i] != 1 &&
        tensor.strides[i] != expected[i]) {
      return false;
    }
  }
  return true;
}

bool NeedsSwap(const FileContents& contents, const FileTensor& tensor) {
  return contents.storages[tensor.storage].byte_swapped &&
         DTypeWordSize(tensor.spec.dtype()) > 1;
}

struct Dimension {
  int64_t size;
  int64_t stride;  // bytes
};

// The dimensions that a loop needs: without those of size 1, and with those
// joined that step through memory as one. At least two, the last ones
// innermost.
std::vector<Dimension> LoopDimensions(const FileTensor& tensor) {
  const int64_t element_size = DTypeSize(tensor.spec.dtype());
  std::vector<Dimension> result;
  for (int i = 0; i < tensor.spec.shape().rank(); ++i) {
    const int64_t size = tensor.spec.shape().sizes()[i];
    if (size == 1) continue;
    const int64_t stride = tensor.strides[i] * element_size;
    if (!result.empty() && result.back().stride == size * stride) {
      result.back() = {result.back().size * size, stride};
    } else {
      result.push_back({size, stride});
    }
  }
  while (result.size() < 2) result.insert(result.begin(), Dimension{1, 0});
  return result;
}

// Copies rows x columns elements, which are apart by strides, to the contiguous
// `to`, tile by tile: of a transposed matrix, whole cache lines are used before
// they are evicted.
template <size_t kSize>
void CopyTiled(const char* from, Dimension rows, Dimension columns, char* to) {
  for (int64_t row0 = 0; row0 < rows.size; row0 += kTile) {
    const int64_t row1 = std::min(rows.size, row0 + kTile);
    for (int64_t column0 = 0; column0 < columns.size; column0 += kTile) {
      const int64_t column1 = std::min(columns.size, column0 + kTile);
      for (int64_t row = row0; row < row1; ++row) {
        const char* source = from + row * rows.stride;
        char* target = to + row * columns.size * int64_t{kSize};
        for (int64_t column = column0; column < column1; ++column) {
          std::memcpy(target + column * int64_t{kSize},
                      source + column * columns.stride, kSize);
        }
      }
    }
  }
}

void CopyBlock(const char* from, Dimension rows, Dimension columns,
               int64_t element_size, char* to) {
  if (columns.stride == element_size) {
    const int64_t row_bytes = columns.size * element_size;
    for (int64_t row = 0; row < rows.size; ++row) {
      std::memcpy(to + row * row_bytes, from + row * rows.stride,
                  static_cast<size_t>(row_bytes));
    }
    return;
  }
  switch (element_size) {
    case 1:
      return CopyTiled<1>(from, rows, columns, to);
    case 2:
      return CopyTiled<2>(from, rows, columns, to);
    case 4:
      return CopyTiled<4>(from, rows, columns, to);
    case 8:
      return CopyTiled<8>(from, rows, columns, to);
    default:
      return CopyTiled<16>(from, rows, columns, to);
  }
}

void SwapWords(std::string& bytes, int word_size) {
  char* const end = bytes.data() + bytes.size();
  for (char* word = bytes.data(); word != end; word += word_size) {
    std::reverse(word, word + word_size);
  }
}

// Collects contiguous values and hands them on in pieces.
class PieceWriter {
 public:
  PieceWriter(int64_t element_size, int word_size, Sink sink)
      : element_size_(element_size), word_size_(word_size), sink_(sink) {
    buffer_.reserve(kPieceBytes);
  }

  // Adds the elements of a block, row by row.
  absl::Status AddBlock(const char* from, Dimension rows, Dimension columns) {
    const int64_t piece = kPieceBytes / element_size_;
    if (columns.size > piece) {  // rows that are more than a piece
      for (int64_t row = 0; row < rows.size; ++row) {
        for (int64_t column = 0; column < columns.size; column += piece) {
          RETURN_IF_ERROR(AddSmallBlock(
              from + row * rows.stride + column * columns.stride, {1, 0},
              {std::min(piece, columns.size - column), columns.stride}));
        }
      }
      return absl::OkStatus();
    }
    const int64_t rows_at_once = piece / columns.size;
    for (int64_t row = 0; row < rows.size; row += rows_at_once) {
      RETURN_IF_ERROR(AddSmallBlock(
          from + row * rows.stride,
          {std::min(rows_at_once, rows.size - row), rows.stride}, columns));
    }
    return absl::OkStatus();
  }

  absl::Status Flush() {
    if (buffer_.empty()) return absl::OkStatus();
    if (word_size_ > 1) SwapWords(buffer_, word_size_);
    const absl::Status status = sink_(buffer_);
    buffer_.clear();
    return status;
  }

 private:
  absl::Status AddSmallBlock(const char* from, Dimension rows,
                             Dimension columns) {
    const int64_t bytes = rows.size * columns.size * element_size_;
    if (static_cast<int64_t>(buffer_.size()) + bytes > kPieceBytes) {
      RETURN_IF_ERROR(Flush());
    }
    const size_t at = buffer_.size();
    buffer_.resize(at + static_cast<size_t>(bytes));
    CopyBlock(from, rows, columns, element_size_, &buffer_[at]);
    return absl::OkStatus();
  }

  const int64_t element_size_;
  const int word_size_;  // 1 where nothing is swapped
  Sink sink_;
  std::string buffer_;
};

// Adds the blocks of the two innermost dimensions, in order.
absl::Status AddBlocks(const char* from,
                       const std::vector<Dimension>& dimensions,
                       PieceWriter& writer) {
  const size_t outer = dimensions.size() - 2;
  std::vector<int64_t> index(outer, 0);
  while (true) {
    RETURN_IF_ERROR(
        writer.AddBlock(from, dimensions[outer], dimensions[outer + 1]));
    // Counts the outer index up, the last dimension fastest.
    size_t i = outer;
    while (i > 0 && index[i - 1] + 1 == dimensions[i - 1].size) {
      --i;
      from -= index[i] * dimensions[i].stride;
      index[i] = 0;
    }
    if (i == 0) return absl::OkStatus();
    ++index[i - 1];
    from += dimensions[i - 1].stride;
  }
}

}  // namespace

bool IsContiguous(const FileContents& contents, const FileTensor& tensor) {
  return tensor.spec.num_elements() == 0 ||
         (HasContiguousStrides(tensor) && !NeedsSwap(contents, tensor));
}

absl::string_view StorageBytes(absl::Span<const FileView> files,
                               const FileStorage& storage) {
  return files[storage.file].bytes.substr(storage.offset, storage.num_bytes);
}

absl::Status ForEachPiece(
    const FileContents& contents, absl::Span<const FileView> files,
    const FileTensor& tensor,
    absl::FunctionRef<absl::Status(absl::string_view)> sink) {
  const absl::string_view storage =
      StorageBytes(files, contents.storages[tensor.storage]);
  const int64_t element_size = DTypeSize(tensor.spec.dtype());
  const int64_t first = tensor.element_offset * element_size;
  if (IsContiguous(contents, tensor)) {
    return sink(storage.substr(first, tensor.spec.num_bytes()));
  }
  PieceWriter writer(
      element_size,
      NeedsSwap(contents, tensor) ? DTypeWordSize(tensor.spec.dtype()) : 1,
      sink);
  RETURN_IF_ERROR(
      AddBlocks(storage.data() + first, LoopDimensions(tensor), writer));
  return writer.Flush();
}

}  // namespace warmstart::format
