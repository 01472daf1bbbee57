// ModelArchitecture: an architecture that can be initialised and, where it has
// one, run forward. Everything that names a model in this server goes through
// this interface: NetA and NetB, which are torch::nn modules, and schemas that
// were registered at run time.

#ifndef WARMSTART_SERVER_TORCH_MODEL_ARCHITECTURE_H_
#define WARMSTART_SERVER_TORCH_MODEL_ARCHITECTURE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/model/architecture.h"
#include "server/model/derivation.h"
#include "server/model/tensor_spec.h"
#include "server/torch/device.h"

namespace warmstart::backend {

// Values of a tensor in host memory: contiguous, row-major, little-endian.
struct HostTensor {
  TensorSpec spec;
  absl::string_view bytes;
};

// A tensor that owns its values.
struct OwnedTensor {
  TensorSpec spec;
  std::string bytes;
};

// A tensor that keeps its values alive.
struct StateTensor {
  HostTensor tensor;
  std::shared_ptr<const void> owner;
};

// A tensor that goes into a model. "" as its name: its position counts.
struct ModelInput {
  std::string name;
  HostTensor tensor;
};

// A tensor that came out of a model.
struct ModelOutput {
  std::string name;
  OwnedTensor tensor;
  int64_t num_non_finite = 0;  // NaNs and infinities
};

// A model on a device, in evaluation mode. Immutable and thread-safe.
class RunnableModel {
 public:
  virtual ~RunnableModel() = default;

  virtual const Device& device() const = 0;
  // What its tensors take on the device, those that lie in borrowed memory too.
  virtual int64_t num_bytes() const = 0;

  // Runs the model, without gradients. Inputs come all by position or all by
  // name.
  //   INVALID_ARGUMENT    the model does not take these inputs; says which it
  //                       takes, and of which shape and dtype
  //   RESOURCE_EXHAUSTED  out of memory, or the outputs take more than
  //                       `max_output_bytes`
  virtual absl::StatusOr<std::vector<ModelOutput>> Forward(
      absl::Span<const ModelInput> inputs, int64_t max_output_bytes) const = 0;
};

// Gives the tensors that derivations name. bytes.data() is null for one that it
// does not have.
using SourceTensors = absl::FunctionRef<HostTensor(const SourceOp&)>;

// What is to know of values that were loaded. Infinities count as not finite;
// NaNs do, too, for some float8 types have nothing else.
struct LoadCounts {
  int64_t non_finite = 0;  // in the result
  // By the cast to the result's dtype:
  int64_t overflowed = 0;   // finite before, not finite after
  int64_t underflowed = 0;  // not zero before, zero after

  friend bool operator==(const LoadCounts&, const LoadCounts&) = default;
};

// One entry of the target in a partial load.
struct LoadEntry {
  // Index into schema().entries.
  int64_t entry = 0;
  // How its values are made; null where the entry is initialised.
  const Derivation* value = nullptr;
  // Makes its fresh values in place of the schema's; null for the schema's.
  const Initializer* initializer = nullptr;
  // Its fresh values, where the initializer is a StoredInit; needed where the
  // entry is initialised, or the value made of fresh ones. Borrowed.
  HostTensor stored;
  // dtype of the result; its shape is the schema's.
  DType dtype = DType::kFloat32;
  // Where the result's values are written; its size is the result's size in
  // bytes. data() is null where a source's bytes are the result unchanged, and
  // nothing has to be written.
  absl::Span<char> output;
  // Filled for a loaded entry; null where nobody asks, which saves reading what
  // is loaded unchanged.
  LoadCounts* counts = nullptr;
};

// Immutable and thread-safe.
class ModelArchitecture {
 public:
  virtual ~ModelArchitecture() = default;

  virtual const Architecture& schema() const = 0;
  virtual bool has_forward() const = 0;

  // Performs a partial load on `device`: entries without a value are
  // initialised there from `seed`; the values of the others are computed there
  // from what `sources` gives and, where the dtype differs, cast as
  // torch.Tensor.copy_ does; results go to the outputs. On the CPU, entries
  // with neither output nor counts cost nothing; on CUDA every entry is placed
  // on the device, so that OK means that the model fits there.
  //
  // Fresh values depend on `seed` and the key alone, never on which other
  // entries are loaded. On the CPU, those of NetA and NetB equal, bit for bit,
  // Python's torch.manual_seed(seed); NetA().state_dict(). Those of a schema,
  // and those of an initializer that is not the architecture's, come from a
  // generator of their own for each key, seeded from (seed, key). An entry that
  // is tied to another has that one's fresh values, and one whose initializer
  // is a StoredInit those that the LoadEntry gives.
  //
  // Memory: initializing, copying and casting take a few MiB, however large the
  // tensors are; what is computed takes room for its operands and results.
  //   INVALID_ARGUMENT    an entry, size, dtype or derivation that does not fit
  //                       the schema or the sources
  //   RESOURCE_EXHAUSTED  out of memory on the device or the host
  // On an error the outputs hold unspecified values.
  virtual absl::Status PartialLoad(const Device& device, uint64_t seed,
                                   absl::Span<const LoadEntry> entries,
                                   SourceTensors sources) const = 0;

  // Puts the model on `device`, ready to run. `state` has one tensor for each
  // entry of the schema, in its order; dtypes may differ from the schema's. On
  // the CPU the model computes with the tensors where they lie, if they are
  // aligned, and holds their owners; elsewhere it holds copies.
  //   FAILED_PRECONDITION  the architecture has no forward, or the device is
  //                        gone
  //   INVALID_ARGUMENT     the state does not fit
  //   RESOURCE_EXHAUSTED   out of memory on the device or the host
  virtual absl::StatusOr<std::shared_ptr<const RunnableModel>> Load(
      const Device& device, absl::Span<const StateTensor> state) const = 0;
};

// The two networks of PyTorch's warm-start recipe, as it defines them.
std::unique_ptr<ModelArchitecture> MakeNetA();
std::unique_ptr<ModelArchitecture> MakeNetB();

// An architecture that is known by its schema alone; it has no forward.
// `architecture` has passed ValidateArchitecture.
std::unique_ptr<ModelArchitecture> MakeSchemaArchitecture(
    Architecture architecture);

// An architecture that is declared as a module, with `name` and `version`. Its
// schema is what torch.nn's module has: keys, shapes, initializers. With the
// same seed its fresh values on the CPU equal, bit for bit, those of
// torch.manual_seed(seed) and the module's constructors in Python.
//   INVALID_ARGUMENT  an unknown type or option, or one that torch.nn refuses;
//                     the message begins with its place, as
//                     "module.children[2].options.kernel_size"
absl::StatusOr<std::unique_ptr<ModelArchitecture>> MakeDeclaredArchitecture(
    std::string name, int64_t version, const ModuleDeclaration& module);

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_MODEL_ARCHITECTURE_H_
