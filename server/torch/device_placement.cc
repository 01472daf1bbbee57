#include <ATen/Functions.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "server/torch/placement.h"
#include "server/torch/staged_copy.h"
#include "server/torch/tensor_bridge.h"
#include "server/torch/value_counts.h"

namespace warmstart::backend {
namespace {

// Bytes of a source that are on the device while they are cast.
constexpr int64_t kCastBytes = int64_t{64} << 20;

class DevicePlacement : public Placement {
 public:
  explicit DevicePlacement(at::Device device)
      : device_(device), copy_(device) {}

  at::Generator NewGenerator(uint64_t seed) override {
    return backend::NewGenerator(device_, seed);
  }

  void Initialize(const Filling& filling, const TensorSpec& spec,
                  at::Generator& generator, absl::Span<char> output) override {
    Keep(Filled(filling, spec, generator), output);
  }

  // A device's generator counts calls and their sizes rather than values, so
  // only the same call takes the same from it.
  void Skip(const Filling& filling, const TensorSpec& spec,
            at::Generator& generator) override {
    if (!DrawsNumbers(filling)) return;
    Filled(filling, spec, generator);
  }

  void Load(const HostTensor& source, const Destination& to) override {
    at::Tensor tensor;
    if (source.spec.dtype() == to.dtype) {
      tensor = Read(source);
      if (to.counts != nullptr) {
        CountValues(tensor.view({-1}), tensor.view({-1}), *to.counts);
      }
    } else {
      tensor = Empty(source.spec.shape(), to.dtype);
      Cast(source, to.counts, tensor.view({-1}));
    }
    Keep(std::move(tensor), to.output);
  }

  at::Tensor Filled(const Filling& filling, const TensorSpec& spec,
                    at::Generator& generator) override {
    at::Tensor tensor = Empty(spec.shape(), FilledType(filling, spec.dtype()));
    Fill(filling, generator, tensor);
    return tensor.to(ToScalarType(spec.dtype()));
  }

  at::Tensor Read(const HostTensor& source) override {
    return copy_.ToDevice(source);
  }

  void Store(const at::Tensor& value, const Destination& to) override {
    const at::Tensor before = Contiguous(value);
    at::Tensor after = before.to(ToScalarType(to.dtype));
    if (to.counts != nullptr) {
      CountValues(before.view({-1}), after.view({-1}), *to.counts);
    }
    Keep(std::move(after), to.output);
  }

 private:
  at::Tensor Empty(const Shape& shape, DType dtype) const {
    return at::empty(ToSizes(shape),
                     at::dtype(ToScalarType(dtype)).device(device_));
  }

  // Bytes go to the device as they are, whatever their alignment, and are cast
  // there.
  void Cast(const HostTensor& source, LoadCounts* counts,
            const at::Tensor& flat_result) {
    const DType from = source.spec.dtype();
    const int64_t size = DTypeSize(from);
    const int64_t total = source.spec.num_elements();
    for (int64_t done = 0; done < total;) {
      const int64_t count = std::min(total - done, kCastBytes / size);
      const at::Tensor there =
          at::empty({count}, at::dtype(ToScalarType(from)).device(device_));
      copy_.Copy(source.bytes.substr(done * size, count * size),
                 BytesOf(there));
      const at::Tensor cast = flat_result.narrow(0, done, count);
      cast.copy_(there);
      if (counts != nullptr) CountValues(there, cast, *counts);
      done += count;
    }
  }

  void Keep(at::Tensor tensor, absl::Span<char> output) {
    if (output.data() != nullptr) {
      WritableTensor(output, DType::kUint8).copy_(BytesOf(tensor));
    }
    kept_.push_back(std::move(tensor));
  }

  const at::Device device_;
  StagedCopy copy_;
  std::vector<at::Tensor> kept_;
};

}  // namespace

std::unique_ptr<Placement> MakeDevicePlacement(at::Device device) {
  return std::make_unique<DevicePlacement>(device);
}

}  // namespace warmstart::backend
