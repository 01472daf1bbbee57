#include <ATen/Functions.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "server/torch/placement.h"
#include "server/torch/tensor_bridge.h"
#include "server/torch/value_counts.h"

namespace warmstart::backend {
namespace {

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

  void Initialize(const Filling& filling, const TensorSpec& spec,
                  at::Generator& generator, absl::Span<char> output) override {
    if (output.empty()) return;
    const DType dtype = spec.dtype();
    if (FilledType(filling, dtype) == dtype &&
        IsAligned(output.data(), dtype)) {
      at::Tensor tensor =
          WritableTensor(output, dtype).view(ToSizes(spec.shape()));
      Fill(filling, generator, tensor);
    } else if (IsElementwise(filling)) {
      FillInPieces(filling, spec, generator, output);
      ZeroARow(filling, spec, output);
    } else {
      CopyValues(FilledWhole(filling, spec, generator), output);
    }
  }

  void Skip(const Filling& filling, const TensorSpec& spec,
            at::Generator& generator) override {
    if (!DrawsNumbers(filling)) return;
    if (IsElementwise(filling)) {
      FillInPieces(filling, spec, generator, std::nullopt);
    } else {
      FilledWhole(filling, spec, generator);
    }
  }

  void Load(const HostTensor& source, const Destination& to) override {
    const bool writes = to.output.data() != nullptr;
    if (source.spec.dtype() == to.dtype) {
      if (writes) {
        std::memcpy(to.output.data(), source.bytes.data(), to.output.size());
      }
      if (to.counts != nullptr) Count(source, *to.counts);
    } else if (!writes) {
      return;
    } else if (to.counts == nullptr &&
               IsAligned(source.bytes.data(), source.spec.dtype()) &&
               IsAligned(to.output.data(), to.dtype)) {
      WritableTensor(to.output, to.dtype)
          .copy_(ReadableTensor(source.bytes, source.spec.dtype()));
    } else {
      CastInPieces(source, to);
    }
  }

  at::Tensor Filled(const Filling& filling, const TensorSpec& spec,
                    at::Generator& generator) override {
    at::Tensor tensor =
        at::empty(ToSizes(spec.shape()), ToScalarType(spec.dtype()));
    Initialize(filling, spec, generator,
               absl::MakeSpan(static_cast<char*>(tensor.data_ptr()),
                              spec.num_bytes()));
    return tensor;
  }

  at::Tensor Read(const HostTensor& source) override {
    return BorrowOrCopy(source);
  }

  void Store(const at::Tensor& value, const Destination& to) override {
    const at::Tensor before = Contiguous(value).view({-1});
    const at::Tensor after = before.to(ToScalarType(to.dtype));
    if (to.output.data() != nullptr) CopyValues(after, to.output);
    if (to.counts != nullptr) CountValues(before, after, *to.counts);
  }

 private:
  static at::Tensor FilledWhole(const Filling& filling, const TensorSpec& spec,
                                at::Generator& generator) {
    at::Tensor tensor = at::empty(
        ToSizes(spec.shape()), ToScalarType(FilledType(filling, spec.dtype())));
    Fill(filling, generator, tensor);
    return tensor.to(ToScalarType(spec.dtype()));
  }

  static void FillInPieces(const Filling& filling, const TensorSpec& spec,
                           at::Generator& generator,
                           std::optional<absl::Span<char>> output) {
    const int64_t total = spec.num_elements();
    const int element_size = DTypeSize(spec.dtype());
    at::Tensor buffer =
        at::empty({std::min(total, kPieceElements + kNormalBlock)},
                  ToScalarType(FilledType(filling, spec.dtype())));
    for (int64_t done = 0; done < total;) {
      const int64_t count = NextPiece(total - done);
      at::Tensor piece = buffer.narrow(0, 0, count);
      FillPiece(filling, generator, piece);
      if (output.has_value()) {
        CopyValues(piece.to(ToScalarType(spec.dtype())),
                   output->subspan(done * element_size, count * element_size));
      }
      done += count;
    }
  }

  // Zero is made of zero bits in every type; float8_e8m0fnu, which has no zero,
  // has its least value there, as torch.Tensor.zero_ makes it.
  static void ZeroARow(const Filling& filling, const TensorSpec& spec,
                       absl::Span<char> output) {
    const std::optional<int64_t> row = ZeroRow(filling);
    if (!row.has_value()) return;
    const size_t row_size = output.size() / spec.shape().sizes()[0];
    std::memset(output.data() + *row * row_size, 0, row_size);
  }

  static void CastInPieces(const HostTensor& source, const Destination& to) {
    const int64_t size = DTypeSize(to.dtype);
    ForEachPiece(source, [&](int64_t done, const at::Tensor& piece) {
      const at::Tensor cast = piece.to(ToScalarType(to.dtype));
      CopyValues(cast, to.output.subspan(done * size, piece.numel() * size));
      if (to.counts != nullptr) CountValues(piece, cast, *to.counts);
    });
  }

  static void Count(const HostTensor& source, LoadCounts& counts) {
    ForEachPiece(source, [&](int64_t, const at::Tensor& piece) {
      CountValues(piece, piece, counts);
    });
  }

  // Calls visit(elements before the piece, piece) for one piece after the
  // other. LibTorch's kernels want aligned elements; a tensor in a .safetensors
  // file need not be, so its pieces are copied.
  template <typename Visit>
  static void ForEachPiece(const HostTensor& source, const Visit& visit) {
    const DType dtype = source.spec.dtype();
    const int64_t total = source.spec.num_elements();
    const int64_t size = DTypeSize(dtype);
    at::Tensor buffer;
    if (!IsAligned(source.bytes.data(), dtype)) {
      buffer =
          at::empty({std::min(total, kPieceElements)}, ToScalarType(dtype));
    }
    for (int64_t done = 0; done < total; done += kPieceElements) {
      const int64_t count = std::min(total - done, kPieceElements);
      const absl::string_view bytes =
          source.bytes.substr(done * size, count * size);
      if (!buffer.defined()) {
        visit(done, ReadableTensor(bytes, dtype));
        continue;
      }
      const at::Tensor piece = buffer.narrow(0, 0, count);
      std::memcpy(piece.data_ptr(), bytes.data(), bytes.size());
      visit(done, piece);
    }
  }
};

}  // namespace

std::unique_ptr<Placement> MakeHostPlacement() {
  return std::make_unique<HostPlacement>();
}

}  // namespace warmstart::backend
