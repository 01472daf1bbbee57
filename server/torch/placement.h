// Placement: where the tensors of one partial load come to be.

#ifndef WARMSTART_SERVER_TORCH_PLACEMENT_H_
#define WARMSTART_SERVER_TORCH_PLACEMENT_H_

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "server/model/dtype.h"
#include "server/model/tensor_spec.h"
#include "server/torch/filling.h"
#include "server/torch/model_architecture.h"

namespace warmstart::backend {

// What becomes of a tensor that is loaded.
struct Destination {
  DType dtype = DType::kFloat32;  // what it is cast to
  absl::Span<char> output;        // data() is null where nothing is written
  LoadCounts* counts = nullptr;   // added to; null where nobody asks
};

// One object per load; not thread-safe. Methods throw LibTorch's exceptions.
class Placement {
 public:
  virtual ~Placement() = default;

  // A generator of the place, of its own.
  virtual at::Generator NewGenerator(uint64_t seed) = 0;

  // Makes fresh values of a tensor and writes them to `output`.
  virtual void Initialize(const Filling& filling, const TensorSpec& spec,
                          at::Generator& generator,
                          absl::Span<char> output) = 0;

  // Takes from `generator` what Initialize would, and keeps nothing.
  virtual void Skip(const Filling& filling, const TensorSpec& spec,
                    at::Generator& generator) = 0;

  // Places a tensor as it is, or cast.
  virtual void Load(const HostTensor& source, const Destination& to) = 0;

  // For values that are computed there:

  // What Initialize would write.
  virtual at::Tensor Filled(const Filling& filling, const TensorSpec& spec,
                            at::Generator& generator) = 0;

  // The tensor where it can be computed with; on the host, it is the caller's
  // memory where that is possible. Not to be written.
  virtual at::Tensor Read(const HostTensor& source) = 0;

  // Load for a value that was computed: elements in row-major order.
  virtual void Store(const at::Tensor& value, const Destination& to) = 0;
};

// Writes results straight to the outputs, in host memory. What Initialize, Skip
// and Load allocate is a few MiB, however large the tensors are; but for those
// fillings that are not elementwise, which may take room for the tensor.
std::unique_ptr<Placement> MakeHostPlacement();

// Holds every tensor on `device` until it is destroyed, so that a load which
// succeeds has shown that the model fits.
std::unique_ptr<Placement> MakeDevicePlacement(at::Device device);

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_PLACEMENT_H_
