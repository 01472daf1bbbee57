#include "server/torch/staged_copy.h"

#include <ATen/Functions.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cstring>

#include "server/base/parallel.h"
#include "server/torch/tensor_bridge.h"

namespace warmstart::backend {
namespace {

// What one core copies at a time. Less would not be worth a thread.
constexpr size_t kSliceBytes = size_t{4} << 20;

// One core does not copy as fast as a bus takes it.
void CopyOnAllCores(absl::string_view from, char* to) {
  const size_t slices = (from.size() + kSliceBytes - 1) / kSliceBytes;
  ParallelFor(slices, [&](size_t i) {
    const absl::string_view slice = from.substr(i * kSliceBytes, kSliceBytes);
    std::memcpy(to + i * kSliceBytes, slice.data(), slice.size());
  });
}

}  // namespace

StagedCopy::Buffer& StagedCopy::Current() {
  Buffer& buffer = buffers_[current_];
  if (!buffer.memory.defined()) {
    buffer.memory = at::empty(
        {buffer_bytes_},
        at::dtype(at::kByte).pinned_memory(device_.type() != at::kCPU));
  }
  if (used_ == 0 && buffer.taken.has_value()) buffer.taken->synchronize();
  return buffer;
}

void StagedCopy::MoveOn() {
  // On the CPU, a copy is done when it returns.
  if (device_.type() != at::kCPU) {
    std::optional<c10::Event>& taken = buffers_[current_].taken;
    if (!taken.has_value()) taken.emplace(device_.type());
    taken->record(
        c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
  }
  current_ = (current_ + 1) % buffers_.size();
  used_ = 0;
}

void StagedCopy::Copy(absl::string_view bytes, const at::Tensor& to) {
  int64_t done = 0;
  while (!bytes.empty()) {
    const Buffer& buffer = Current();
    const int64_t count =
        std::min(static_cast<int64_t>(bytes.size()), buffer_bytes_ - used_);
    const at::Tensor piece = buffer.memory.narrow(0, used_, count);
    CopyOnAllCores(bytes.substr(0, count),
                   static_cast<char*>(piece.data_ptr()));
    to.narrow(0, done, count).copy_(piece, /*non_blocking=*/true);
    used_ += count;
    if (used_ == buffer_bytes_) MoveOn();
    done += count;
    bytes.remove_prefix(count);
  }
}

at::Tensor StagedCopy::ToDevice(const HostTensor& tensor) {
  at::Tensor result =
      at::empty(ToSizes(tensor.spec.shape()),
                at::dtype(ToScalarType(tensor.spec.dtype())).device(device_));
  Copy(tensor.bytes, BytesOf(result));
  return result;
}

}  // namespace warmstart::backend
