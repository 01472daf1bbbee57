// Filling: what an initializer comes down to for a tensor of a known shape.

#ifndef WARMSTART_SERVER_TORCH_FILLING_H_
#define WARMSTART_SERVER_TORCH_FILLING_H_

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <variant>

#include "server/model/dtype.h"
#include "server/model/initializer.h"
#include "server/model/tensor_spec.h"

namespace warmstart::backend {

// Fans and gains are worked out: kaiming_uniform is a uniform distribution.
using Filling =
    std::variant<ConstantInit, UniformInit, NormalInit, TruncNormalInit,
                 OrthogonalInit, SparseInit, EyeInit, DiracInit>;

// As torch.nn.init does it. Throws for a StoredInit, which is loaded and not
// filled.
Filling FillingOf(const Initializer& initializer, const Shape& shape);

// Whether it takes numbers from the generator.
bool DrawsNumbers(const Filling& filling);

// Whether elements are made one by one, in row-major order: such a tensor can
// be filled in pieces, by FillPiece.
bool IsElementwise(const Filling& filling);

// The row, along the first dimension, that is zero afterwards.
std::optional<int64_t> ZeroRow(const Filling& filling);

// The type in which values of `dtype` are made: PyTorch draws no float8, so
// those are float32 values, cast.
DType FilledType(const Filling& filling, DType dtype);

// Fills `tensor`, which is contiguous and has its shape, by the calls that the
// function of torch.nn.init makes, so that its values are the same, bit for
// bit. (torch.nn.init.sparse_ permutes by the default generator; here all is
// drawn from one, as there after torch.manual_seed.) Throws what those calls
// throw. What is not elementwise may take memory for the tensor, several times.
void Fill(const Filling& filling, at::Generator& generator, at::Tensor& tensor);

// Fills the next piece of an elementwise filling, a one-dimensional tensor. The
// row that is zero is left to the caller.
void FillPiece(const Filling& filling, at::Generator& generator,
               at::Tensor& piece);

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_FILLING_H_
