#include "server/format/torch/tensor_table.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"
#include "server/format/key_check.h"
#include "server/model/tensor_spec.h"

namespace warmstart::format {
namespace {

absl::Status Error(absl::string_view what) {
  return absl::InvalidArgumentError(what);
}

// The index of the element of the window that comes last; -1 without elements.
absl::StatusOr<int64_t> LastElement(const PickledTensor& tensor,
                                    const TensorSpec& spec) {
  if (tensor.offset < 0) {
    return Error(absl::StrCat("its offset ", tensor.offset, " is negative"));
  }
  if (tensor.strides.size() != tensor.sizes.size()) {
    return Error(absl::StrCat("it has ", tensor.sizes.size(),
                              " dimensions but ", tensor.strides.size(),
                              " strides"));
  }
  for (int64_t stride : tensor.strides) {
    if (stride < 0) {
      return Error(absl::StrCat("its strides [",
                                absl::StrJoin(tensor.strides, ", "),
                                "] are not all positive"));
    }
  }
  if (spec.num_elements() == 0) return -1;
  int64_t last = tensor.offset;
  for (size_t i = 0; i < tensor.sizes.size(); ++i) {
    int64_t extent;
    if (__builtin_mul_overflow(tensor.sizes[i] - 1, tensor.strides[i],
                               &extent) ||
        __builtin_add_overflow(last, extent, &last)) {
      return Error("its strides overflow");
    }
  }
  return last;
}

}  // namespace

TensorTable::TensorTable(int64_t file_bytes, FileContents* contents)
    : contents_(*contents) {
  if (__builtin_mul_overflow(file_bytes, kMaxExpansion, &bytes_left_) ||
      __builtin_add_overflow(bytes_left_, kExpansionAllowance, &bytes_left_)) {
    bytes_left_ = std::numeric_limits<int64_t>::max();
  }
}

absl::Status TensorTable::Add(const std::string& key, DType dtype,
                              const StorageWindow& window,
                              const PickledTensor& tensor) {
  RETURN_IF_ERROR(CheckKey(key));
  if (!keys_.insert(key).second) {
    return Error(
        absl::StrCat("two tensors have the key ", QuoteForMessage(key)));
  }
  if (absl::Status status = AddChecked(key, dtype, window, tensor);
      !status.ok()) {
    return Error(
        absl::StrCat("tensor ", QuoteForMessage(key), ": ", status.message()));
  }
  return absl::OkStatus();
}

absl::Status TensorTable::AddChecked(const std::string& key, DType dtype,
                                     const StorageWindow& window,
                                     const PickledTensor& tensor) {
  ASSIGN_OR_RETURN(Shape shape, Shape::Create(tensor.sizes));
  ASSIGN_OR_RETURN(TensorSpec spec,
                   TensorSpec::Create(dtype, std::move(shape)));
  ASSIGN_OR_RETURN(const int64_t last, LastElement(tensor, spec));
  const int64_t element_size = DTypeSize(dtype);
  if (last >= window.num_bytes / element_size) {
    return Error(absl::StrCat("its element ", last,
                              " lies outside of its storage of ",
                              window.num_bytes / element_size, " elements"));
  }
  if (window.first_byte % element_size != 0) {
    return Error("its storage starts in the middle of an element");
  }
  FileTensor result;
  result.key = key;
  result.spec = std::move(spec);
  result.storage = window.storage;
  // An empty tensor may have any offset in its pickle, but it reads nothing.
  result.element_offset =
      last < 0 ? 0 : window.first_byte / element_size + tensor.offset;
  result.strides = tensor.strides;

  const bool is_new = views_
                          .insert(View(result.storage, result.element_offset,
                                       dtype, tensor.sizes, tensor.strides))
                          .second;
  if (is_new) {
    if (result.spec.num_bytes() > bytes_left_) {
      return Error(absl::StrCat(
          "the tensors expand to more than ", kMaxExpansion,
          " times the file; save them with .contiguous() or .clone()"));
    }
    bytes_left_ -= result.spec.num_bytes();
  }
  contents_.tensors.push_back(std::move(result));
  return absl::OkStatus();
}

}  // namespace warmstart::format
