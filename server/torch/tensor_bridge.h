// Between this server's tensors and LibTorch's.

#ifndef WARMSTART_SERVER_TORCH_TENSOR_BRIDGE_H_
#define WARMSTART_SERVER_TORCH_TENSOR_BRIDGE_H_

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/model/dtype.h"
#include "server/model/tensor_spec.h"
#include "server/torch/device.h"
#include "server/torch/model_architecture.h"

namespace warmstart::backend {

at::ScalarType ToScalarType(DType dtype);

// INVALID_ARGUMENT for types that this server does not have (quantized ones).
absl::StatusOr<DType> ToDType(at::ScalarType type);

// Throws for types that this server does not have.
TensorSpec SpecOf(const at::Tensor& tensor);

at::IntArrayRef ToSizes(const Shape& shape);
at::Device ToAtDevice(const Device& device);

// A generator of `device` that nobody else draws from.
at::Generator NewGenerator(at::Device device, uint64_t seed);

// Whether LibTorch's kernels may read and write elements of `dtype` at `data`.
bool IsAligned(const void* data, DType dtype);

// A one-dimensional tensor over memory that the caller keeps; nothing is
// copied. The memory of a readable tensor must not be written.
at::Tensor WritableTensor(absl::Span<char> bytes, DType dtype);
at::Tensor ReadableTensor(absl::string_view bytes, DType dtype);

// The tensor in its shape: over the caller's memory where that is aligned, else
// a copy. Not to be written.
at::Tensor BorrowOrCopy(const HostTensor& tensor);

// The same elements as integers of their size, on the same memory: what
// LibTorch moves of those, it moves bit for bit, and for each of its types.
// (Those of 16 bytes stay complex128.)
at::Tensor BitsOf(const at::Tensor& tensor);

// The elements in row-major order, without a gap; `tensor` itself where they
// are that already.
at::Tensor Contiguous(const at::Tensor& tensor);

// Every byte of a contiguous tensor, one-dimensional, on the same memory.
at::Tensor BytesOf(const at::Tensor& tensor);

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_TENSOR_BRIDGE_H_
