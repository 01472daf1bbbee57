#include "server/torch/partial_load.h"

#include <c10/core/CachingDeviceAllocator.h>

#include <cstddef>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/torch/derivation_evaluator.h"
#include "server/torch/edge.h"
#include "server/torch/filling.h"
#include "server/torch/key_seed.h"
#include "server/torch/tensor_bridge.h"

namespace warmstart::backend {
namespace {

bool IsInitialized(const LoadEntry& load) { return load.value == nullptr; }

// PyTorch takes a vector of one element for a scalar, as 0.3 saved those.
bool FitsShape(const Shape& source, const Shape& target) {
  return source == target ||
         (target.rank() == 0 && source.rank() == 1 && source.sizes()[0] == 1);
}

// `value` without what happens on the way to the result anyway, which is a run
// of bytes of `dtype`: reshapes, and a last cast to that type.
const Derivation& BeforeLastCast(const Derivation& value, DType dtype) {
  const Derivation& inner = WithoutReshapes(value);
  const auto* cast = std::get_if<CastOp>(&inner.op);
  return cast != nullptr && cast->dtype == dtype
             ? WithoutReshapes(*inner.operands[0])
             : inner;
}

absl::Status CheckLoaded(const LoadEntry& load, const TensorSpec& target) {
  const TensorSpec& spec = load.value->spec;
  if (!FitsShape(spec.shape(), target.shape())) {
    return absl::InvalidArgumentError(
        absl::StrCat("a source of shape ", spec.shape().ToString(),
                     " for one of shape ", target.shape().ToString()));
  }
  if (load.output.data() != nullptr) return absl::OkStatus();
  if (AsSourceTensor(WithoutReshapes(*load.value)) == nullptr) {
    return absl::InvalidArgumentError("no output for computed values");
  }
  if (spec.dtype() != load.dtype) {
    return absl::InvalidArgumentError(
        absl::StrCat("no output for a cast from ", DTypeName(spec.dtype()),
                     " to ", DTypeName(load.dtype)));
  }
  return absl::OkStatus();
}

absl::Status CheckInitialized(const LoadEntry& load, const TensorSpec& target) {
  if (load.dtype != target.dtype()) {
    return absl::InvalidArgumentError(
        absl::StrCat("fresh values are ", DTypeName(target.dtype()), ", not ",
                     DTypeName(load.dtype)));
  }
  if (load.output.data() == nullptr) {
    return absl::InvalidArgumentError("no output for fresh values");
  }
  return absl::OkStatus();
}

absl::Status CheckOutput(const LoadEntry& load, const TensorSpec& target) {
  if (load.output.data() == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const TensorSpec result,
                   TensorSpec::Create(load.dtype, target.shape()));
  if (static_cast<int64_t>(load.output.size()) != result.num_bytes()) {
    return absl::InvalidArgumentError(
        absl::StrCat("an output of ", load.output.size(), " bytes for ",
                     result.ToString(), ", which takes ", result.num_bytes()));
  }
  return absl::OkStatus();
}

absl::Status CheckEntry(const LoadEntry& load, const TensorSpec& target) {
  RETURN_IF_ERROR(CheckOutput(load, target));
  // Of a tensor without elements nothing is read or written, so null pointers
  // tell nothing about it.
  if (target.num_elements() == 0) return absl::OkStatus();
  return IsInitialized(load) ? CheckInitialized(load, target)
                             : CheckLoaded(load, target);
}

// What is wanted of each entry of the schema, null where nothing is.
using Wanted = std::vector<const LoadEntry*>;

absl::StatusOr<Wanted> Arrange(const Architecture& schema,
                               absl::Span<const LoadEntry> entries) {
  const int64_t size = static_cast<int64_t>(schema.entries.size());
  Wanted wanted(size, nullptr);
  for (const LoadEntry& load : entries) {
    if (load.entry < 0 || load.entry >= size) {
      return absl::InvalidArgumentError(absl::StrCat(
          schema.name, " has no entry ", load.entry, ", only ", size));
    }
    const ArchitectureEntry& target = schema.entries[load.entry];
    if (wanted[load.entry] != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(target.key, ": loaded twice"));
    }
    RETURN_IF_ERROR(Annotate(CheckEntry(load, target.spec), target.key));
    wanted[load.entry] = &load;
  }
  return wanted;
}

// The entry whose fresh values entry i has: itself, but for tied ones.
std::vector<size_t> FreshOrigins(const Architecture& schema) {
  std::vector<size_t> origins(schema.entries.size());
  absl::flat_hash_map<absl::string_view, size_t> index;
  for (size_t i = 0; i < origins.size(); ++i) {
    const ArchitectureEntry& entry = schema.entries[i];
    const auto tied = index.find(entry.tied_to);
    origins[i] = tied == index.end() ? i : tied->second;
    index.emplace(entry.key, i);
  }
  return origins;
}

void CheckTensor(absl::string_view what, const HostTensor& tensor,
                 const TensorSpec& spec) {
  const int64_t size = static_cast<int64_t>(tensor.bytes.size());
  TORCH_CHECK(tensor.bytes.data() != nullptr || spec.num_bytes() == 0, what,
              " is not there");
  TORCH_CHECK(tensor.spec == spec, what, " is ", tensor.spec.ToString(),
              ", not ", spec.ToString());
  TORCH_CHECK(size == spec.num_bytes(), what, " has ", size, " bytes where ",
              spec.ToString(), " takes ", spec.num_bytes());
}

// Performs one load: first what is drawn from the stream that entries share, in
// the order of the draws, then the rest in the schema's order.
class Loader {
 public:
  Loader(Placement& placement, const Architecture& schema,
         RandomStreams streams, uint64_t seed, const Wanted& wanted,
         SourceTensors sources)
      : placement_(placement),
        schema_(schema),
        streams_(streams),
        seed_(seed),
        wanted_(wanted),
        sources_(sources),
        fresh_origins_(FreshOrigins(schema)) {}

  absl::Status Run() {
    const absl::Status status = GuardTorch([&] {
      if (streams_.constructor != nullptr) RunDraws(*streams_.constructor);
      for (size_t i = 0; i < wanted_.size(); ++i) {
        if (wanted_[i] != nullptr && !DrawsFromCommonStream(i)) {
          at::Generator own;
          Handle(i, own);
        }
      }
    });
    return status.ok() ? status
                       : Annotate(status, schema_.entries[current_].key);
  }

 private:
  bool DrawsFromCommonStream(size_t i) const {
    const LoadEntry* const load = wanted_[i];
    return streams_.constructor != nullptr && load != nullptr &&
           load->initializer == nullptr &&
           (IsInitialized(*load) || UsesFreshValues(*load->value));
  }

  void RunDraws(const std::vector<FreshDraw>& draws) {
    std::vector<size_t> last_draw(wanted_.size());
    size_t end = 0;  // behind the last draw that is needed
    for (size_t d = 0; d < draws.size(); ++d) {
      for (const size_t entry : draws[d].entries) {
        last_draw[entry] = d;
        if (DrawsFromCommonStream(entry)) end = d + 1;
      }
    }
    if (end == 0) return;
    at::Generator generator = placement_.NewGenerator(seed_);
    for (size_t d = 0; d < end; ++d) {
      RunDraw(draws[d], generator, [&](size_t entry) {
        return last_draw[entry] == d && DrawsFromCommonStream(entry);
      });
    }
  }

  // Draws for those of the draw's entries that are `needed`, and leaves
  // `generator` as one draw does.
  void RunDraw(const FreshDraw& draw, at::Generator& generator,
               absl::FunctionRef<bool(size_t)> needed) {
    at::Generator before = generator;
    if (draw.entries.size() > 1) before = generator.clone();
    bool drawn = false;
    for (const size_t entry : draw.entries) {
      if (!needed(entry)) continue;
      at::Generator again = drawn ? before.clone() : generator;
      Handle(entry, again);
      drawn = true;
    }
    if (drawn) return;
    current_ = draw.entries.front();
    const TensorSpec& spec = schema_.entries[current_].spec;
    placement_.Skip(FillingOf(draw.initializer, spec.shape()), spec,
                    generator);
  }

  // `generator` is undefined where the entry has a stream of its own.
  void Handle(size_t i, at::Generator& generator) {
    current_ = i;
    const LoadEntry& load = *wanted_[i];
    generator_ = &generator;
    if (IsInitialized(load)) {
      Initialize(i, load);
    } else {
      Place(i, load);
    }
  }

  void Initialize(size_t i, const LoadEntry& load) {
    if (HasStoredValues(i)) {
      placement_.Load(StoredValues(i), {load.dtype, load.output, load.counts});
    } else {
      placement_.Initialize(FreshFilling(i), schema_.entries[i].spec,
                            FreshGenerator(i), load.output);
    }
  }

  void Place(size_t i, const LoadEntry& load) {
    const Destination to{load.dtype, load.output, load.counts};
    const Derivation& value = BeforeLastCast(*load.value, load.dtype);
    if (value.spec.num_elements() == 0) {
      placement_.Load({value.spec, ""}, to);
    } else if (AsSourceTensor(value) != nullptr) {
      placement_.Load(Source(value), to);
    } else {
      placement_.Store(Computed(i, value), to);
    }
  }

  at::Tensor Computed(size_t i, const Derivation& value) {
    at::Tensor fresh;  // drawn once, however many leaves stand for it
    return Evaluate(value, [&](const Derivation& leaf) {
      if (AsSourceTensor(leaf) != nullptr) {
        return placement_.Read(Source(leaf));
      }
      const TensorSpec& spec = schema_.entries[i].spec;
      TORCH_CHECK(leaf.spec == spec, "fresh values are ", spec.ToString(),
                  ", not ", leaf.spec.ToString());
      if (!fresh.defined()) {
        fresh = HasStoredValues(i) ? placement_.Read(StoredValues(i))
                                   : placement_.Filled(FreshFilling(i), spec,
                                                       FreshGenerator(i));
      }
      return fresh;
    });
  }

  HostTensor Source(const Derivation& leaf) {
    const HostTensor tensor = sources_(*AsSourceTensor(leaf));
    CheckTensor("the source", tensor, leaf.spec);
    return tensor;
  }

  HostTensor StoredValues(size_t i) const {
    const TensorSpec& spec = schema_.entries[i].spec;
    if (spec.num_elements() == 0) return {spec, ""};
    CheckTensor("the stored tensor", wanted_[i]->stored, spec);
    return wanted_[i]->stored;
  }

  bool HasStoredValues(size_t i) const {
    return std::holds_alternative<StoredInit>(FreshInitializer(i));
  }

  const Initializer& FreshInitializer(size_t i) const {
    const Initializer* const given = wanted_[i]->initializer;
    return given != nullptr ? *given
                            : schema_.entries[fresh_origins_[i]].initializer;
  }

  Filling FreshFilling(size_t i) const {
    return FillingOf(FreshInitializer(i), schema_.entries[i].spec.shape());
  }

  at::Generator& FreshGenerator(size_t i) {
    if (!generator_->defined()) {
      *generator_ = placement_.NewGenerator(
          KeySeed(seed_, schema_.entries[fresh_origins_[i]].key));
    }
    return *generator_;
  }

  Placement& placement_;
  const Architecture& schema_;
  const RandomStreams streams_;
  const uint64_t seed_;
  const Wanted& wanted_;
  const SourceTensors sources_;
  const std::vector<size_t> fresh_origins_;
  size_t current_ = 0;  // the entry that is being handled
  // What that one draws from.
  at::Generator* generator_ = nullptr;
};

// Gives the memory that LibTorch's allocator would keep for its next tensors
// back to the device's other users.
void ReleaseDeviceMemory(at::Device device) {
  const absl::Status ignored =
      GuardTorch([&] { c10::getDeviceAllocator(device.type())->emptyCache(); });
  static_cast<void>(ignored);
}

}  // namespace

absl::Status RunPartialLoadAt(Placement& placement, const Architecture& schema,
                              RandomStreams streams, uint64_t seed,
                              absl::Span<const LoadEntry> entries,
                              SourceTensors sources) {
  ASSIGN_OR_RETURN(const Wanted wanted, Arrange(schema, entries));
  return Loader(placement, schema, streams, seed, wanted, sources).Run();
}

absl::Status RunPartialLoad(const Architecture& schema, RandomStreams streams,
                            const Device& device, uint64_t seed,
                            absl::Span<const LoadEntry> entries,
                            SourceTensors sources) {
  if (device.kind == Device::Kind::kCpu) {
    return RunPartialLoadAt(*MakeHostPlacement(), schema, streams, seed,
                            entries, sources);
  }
  // A device that is gone by now is refused in the same words.
  RETURN_IF_ERROR(ResolveDevice(device.ToString()).status());
  const at::Device place = ToAtDevice(device);
  absl::Cleanup release = [&] { ReleaseDeviceMemory(place); };
  return RunPartialLoadAt(*MakeDevicePlacement(place), schema, streams, seed,
                          entries, sources);
}

}  // namespace warmstart::backend
