#include <ATen/Functions.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "server/torch/placement.h"
#include "server/torch/tensor_bridge.h"

namespace warmstart::backend {
namespace {

// Elements that are handled at once where values cannot be made in place.
constexpr int64_t kPieceElements = int64_t{1} << 19;

// ATen draws normal values in blocks of 16, and the last 16 of a tensor again
// where its size is no multiple of that. A tensor that is drawn in pieces gets
// the values of one drawn at once as long as every piece but the last is a
// multiple of 16 and the last has no fewer than 16.
constexpr int64_t kNormalBlock = 16;
static_assert(kPieceElements % kNormalBlock == 0);

int64_t NextPiece(int64_t remaining) {
  return remaining >= kPieceElements + kNormalBlock ? kPieceElements
                                                    : remaining;
}

void CopyValues(const at::Tensor& tensor, absl::Span<char> output) {
  std::memcpy(output.data(), tensor.data_ptr(), output.size());
}

class HostPlacement : public Placement {
 public:
  at::Generator NewGenerator(uint64_t seed) override {
    return backend::NewGenerator(at::kCPU, seed);
  }

  void Initialize(const Distribution& distribution, const TensorSpec& spec,
                  at::Generator& generator, absl::Span<char> output) override {
    if (output.empty()) return;
    if (DrawnType(distribution, spec.dtype()) == spec.dtype() &&
        IsAligned(output.data(), spec.dtype())) {
      at::Tensor tensor = WritableTensor(output, spec.dtype());
      Draw(distribution, generator, tensor);
      return;
    }
    DrawInPieces(distribution, spec, generator, output);
  }

  void Skip(const Distribution& distribution, const TensorSpec& spec,
            at::Generator& generator) override {
    if (distribution.kind == Distribution::Kind::kConstant) return;
    DrawInPieces(distribution, spec, generator, std::nullopt);
  }

  void Load(const HostTensor& source, DType dtype,
            absl::Span<char> output) override {
    if (output.data() == nullptr) return;
    if (source.spec.dtype() == dtype) {
      std::memcpy(output.data(), source.bytes.data(), output.size());
    } else if (IsAligned(source.bytes.data(), source.spec.dtype()) &&
               IsAligned(output.data(), dtype)) {
      WritableTensor(output, dtype)
          .copy_(ReadableTensor(source.bytes, source.spec.dtype()));
    } else {
      CastInPieces(source, dtype, output);
    }
  }

 private:
  static void DrawInPieces(const Distribution& distribution,
                           const TensorSpec& spec, at::Generator& generator,
                           std::optional<absl::Span<char>> output) {
    const int64_t total = spec.num_elements();
    const int element_size = DTypeSize(spec.dtype());
    at::Tensor buffer =
        at::empty({std::min(total, kPieceElements + kNormalBlock)},
                  ToScalarType(DrawnType(distribution, spec.dtype())));
    for (int64_t done = 0; done < total;) {
      const int64_t count = NextPiece(total - done);
      at::Tensor piece = buffer.narrow(0, 0, count);
      Draw(distribution, generator, piece);
      if (output.has_value()) {
        CopyValues(piece.to(ToScalarType(spec.dtype())),
                   output->subspan(done * element_size, count * element_size));
      }
      done += count;
    }
  }

  // LibTorch's kernels want aligned elements; a tensor in a .safetensors file
  // need not be.
  static void CastInPieces(const HostTensor& source, DType dtype,
                           absl::Span<char> output) {
    const int64_t total = source.spec.num_elements();
    const int from_size = DTypeSize(source.spec.dtype());
    const int to_size = DTypeSize(dtype);
    at::Tensor buffer = at::empty({std::min(total, kPieceElements)},
                                  ToScalarType(source.spec.dtype()));
    for (int64_t done = 0; done < total;) {
      const int64_t count = std::min(total - done, kPieceElements);
      at::Tensor piece = buffer.narrow(0, 0, count);
      std::memcpy(piece.data_ptr(), source.bytes.data() + done * from_size,
                  count * from_size);
      CopyValues(piece.to(ToScalarType(dtype)),
                 output.subspan(done * to_size, count * to_size));
      done += count;
    }
  }
};

}  // namespace

std::unique_ptr<Placement> MakeHostPlacement() {
  return std::make_unique<HostPlacement>();
}

}  // namespace warmstart::backend
