// Device: where a partial load is performed. No torch header is needed here.

#ifndef WARMSTART_SERVER_TORCH_DEVICE_H_
#define WARMSTART_SERVER_TORCH_DEVICE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace warmstart::backend {

struct Device {
  enum class Kind { kCpu, kCuda };

  Kind kind = Kind::kCpu;
  int index = 0;  // of a CUDA device

  // "cpu", "cuda:0"
  std::string ToString() const;
  friend bool operator==(const Device&, const Device&) = default;
};

// Loads libtorch_cuda.so where there is an NVIDIA driver that sees a GPU, and
// makes CUDA's devices known; where there is none, nothing is loaded, since the
// library costs over 100 MB of memory. Call once, before any other function of
// this room; it is no error when there is no CUDA. Says in one line, for the
// log, what it found.
std::string LoadCudaIfPresent();

// Number of CUDA devices that can be used; 0 where there is no CUDA.
int CudaDeviceCount();

// Why there is no CUDA device; "" where there is one.
std::string CudaProblem();

// Takes "cpu", "cuda" (the first), "cuda:N" and "auto" (the CUDA device with
// the most free memory; the CPU where there is none). INVALID_ARGUMENT for
// other text; FAILED_PRECONDITION, saying why, for a CUDA device that is not
// there.
absl::StatusOr<Device> ResolveDevice(absl::string_view name);

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_DEVICE_H_
