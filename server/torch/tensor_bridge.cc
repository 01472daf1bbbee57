#include "server/torch/tensor_bridge.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Functions.h>

#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace warmstart::backend {
namespace {

at::Tensor TensorOver(char* data, size_t num_bytes, DType dtype) {
  const int64_t count = static_cast<int64_t>(num_bytes) / DTypeSize(dtype);
  return at::from_blob(data, {count}, ToScalarType(dtype));
}

}  // namespace

at::ScalarType ToScalarType(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return at::kBool;
    case DType::kUint8:
      return at::kByte;
    case DType::kInt8:
      return at::kChar;
    case DType::kInt16:
      return at::kShort;
    case DType::kInt32:
      return at::kInt;
    case DType::kInt64:
      return at::kLong;
    case DType::kUint16:
      return at::kUInt16;
    case DType::kUint32:
      return at::kUInt32;
    case DType::kUint64:
      return at::kUInt64;
    case DType::kFloat16:
      return at::kHalf;
    case DType::kBFloat16:
      return at::kBFloat16;
    case DType::kFloat32:
      return at::kFloat;
    case DType::kFloat64:
      return at::kDouble;
    case DType::kComplex32:
      return at::kComplexHalf;
    case DType::kComplex64:
      return at::kComplexFloat;
    case DType::kComplex128:
      return at::kComplexDouble;
    case DType::kFloat8E4M3FN:
      return at::kFloat8_e4m3fn;
    case DType::kFloat8E5M2:
      return at::kFloat8_e5m2;
    case DType::kFloat8E4M3FNUZ:
      return at::kFloat8_e4m3fnuz;
    case DType::kFloat8E5M2FNUZ:
      return at::kFloat8_e5m2fnuz;
    case DType::kFloat8E8M0FNU:
      return at::kFloat8_e8m0fnu;
  }
  return at::ScalarType::Undefined;
}

absl::StatusOr<DType> ToDType(at::ScalarType type) {
  for (DType dtype : kAllDTypes) {
    if (ToScalarType(dtype) == type) return dtype;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "values of type ", c10::toString(type), " cannot be stored"));
}

TensorSpec SpecOf(const at::Tensor& tensor) {
  const absl::StatusOr<DType> dtype = ToDType(tensor.scalar_type());
  TORCH_CHECK(dtype.ok(), std::string(dtype.status().message()));
  return TensorSpec::Create(*dtype, Shape::Create(tensor.sizes().vec()).value())
      .value();
}

at::IntArrayRef ToSizes(const Shape& shape) {
  return at::IntArrayRef(shape.sizes().data(), shape.sizes().size());
}

at::Device ToAtDevice(const Device& device) {
  if (device.kind == Device::Kind::kCpu) return at::Device(at::kCPU);
  return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device.index));
}

at::Generator NewGenerator(at::Device device, uint64_t seed) {
  if (device.is_cpu()) return at::detail::createCPUGenerator(seed);
  at::Generator generator = at::globalContext()
                                .getAcceleratorHooksInterface(device.type())
                                .getNewGenerator(device.index());
  generator.set_current_seed(seed);
  return generator;
}

bool IsAligned(const void* data, DType dtype) {
  // PyTorch's complex types are aligned to their whole size.
  return reinterpret_cast<uintptr_t>(data) % DTypeSize(dtype) == 0;
}

at::Tensor WritableTensor(absl::Span<char> bytes, DType dtype) {
  return TensorOver(bytes.data(), bytes.size(), dtype);
}

at::Tensor ReadableTensor(absl::string_view bytes, DType dtype) {
  return TensorOver(const_cast<char*>(bytes.data()), bytes.size(), dtype);
}

at::Tensor BorrowOrCopy(const HostTensor& tensor) {
  const DType dtype = tensor.spec.dtype();
  const at::IntArrayRef sizes = ToSizes(tensor.spec.shape());
  if (IsAligned(tensor.bytes.data(), dtype)) {
    return ReadableTensor(tensor.bytes, dtype).view(sizes);
  }
  at::Tensor copy = at::empty(sizes, ToScalarType(dtype));
  std::memcpy(copy.data_ptr(), tensor.bytes.data(), tensor.bytes.size());
  return copy;
}

at::Tensor BitsOf(const at::Tensor& tensor) {
  switch (tensor.element_size()) {
    case 1:
      return tensor.view(at::kByte);
    case 2:
      return tensor.view(at::kShort);
    case 4:
      return tensor.view(at::kInt);
    case 8:
      return tensor.view(at::kLong);
    default:
      return tensor;
  }
}

at::Tensor Contiguous(const at::Tensor& tensor) {
  if (tensor.is_contiguous()) return tensor;
  return BitsOf(tensor).contiguous().view(tensor.scalar_type());
}

at::Tensor BytesOf(const at::Tensor& tensor) {
  return tensor.view({-1}).view(at::kByte);
}

}  // namespace warmstart::backend
