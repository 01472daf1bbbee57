// StagedCopy: brings bytes of mapped files to a device at the speed of its bus.

#ifndef WARMSTART_SERVER_TORCH_STAGED_COPY_H_
#define WARMSTART_SERVER_TORCH_STAGED_COPY_H_

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/Event.h>

#include <array>
#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "server/torch/model_architecture.h"

namespace warmstart::backend {

// A GPU reads page-locked memory by itself and at full speed; of other memory,
// the driver makes a locked copy first, one piece after the other. So bytes go
// through a few locked buffers: while the device takes one, the cores fill the
// next. Small tensors share a buffer, so that the device need not be waited for
// between them.
//
// One object a load; not thread-safe. Methods throw LibTorch's exceptions, out
// of memory among them. With the CPU for a device the buffers are ordinary
// memory.
class StagedCopy {
 public:
  // Of each buffer. One is enough for a load that is smaller.
  static constexpr int64_t kBufferBytes = int64_t{32} << 20;

  explicit StagedCopy(at::Device device, int64_t buffer_bytes = kBufferBytes)
      : device_(device), buffer_bytes_(buffer_bytes) {}

  // Copies all `bytes` to `to`: a one-dimensional tensor of as many bytes on
  // the device. When it returns, `bytes` may go, and what is given to the
  // device's current stream from then on finds them at `to`.
  void Copy(absl::string_view bytes, const at::Tensor& to);

  // A new tensor on the device.
  at::Tensor ToDevice(const HostTensor& tensor);

 private:
  struct Buffer {
    at::Tensor memory;                // undefined until it is needed
    std::optional<c10::Event> taken;  // when the device has read it
  };

  // The buffer whose bytes from used_ on are free.
  Buffer& Current();
  void MoveOn();

  const at::Device device_;
  const int64_t buffer_bytes_;
  std::array<Buffer, 3> buffers_;
  size_t current_ = 0;
  int64_t used_ = 0;
};

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_STAGED_COPY_H_
