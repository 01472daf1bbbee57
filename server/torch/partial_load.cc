#include "server/torch/partial_load.h"

#include <c10/core/CachingDeviceAllocator.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/torch/distribution.h"
#include "server/torch/edge.h"
#include "server/torch/key_seed.h"
#include "server/torch/tensor_bridge.h"

namespace warmstart::backend {
namespace {

bool IsInitialized(const LoadEntry& load) {
  return load.source.bytes.data() == nullptr;
}

// PyTorch takes a vector of one element for a scalar, as 0.3 saved those.
bool FitsShape(const Shape& source, const Shape& target) {
  return source == target ||
         (target.rank() == 0 && source.rank() == 1 && source.sizes()[0] == 1);
}

absl::Status CheckSource(const LoadEntry& load, const TensorSpec& target) {
  const TensorSpec& spec = load.source.spec;
  if (!FitsShape(spec.shape(), target.shape())) {
    return absl::InvalidArgumentError(
        absl::StrCat("a source of shape ", spec.shape().ToString(),
                     " for one of shape ", target.shape().ToString()));
  }
  if (static_cast<int64_t>(load.source.bytes.size()) != spec.num_bytes()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the source has ", load.source.bytes.size(), " bytes where ",
        spec.ToString(), " takes ", spec.num_bytes()));
  }
  if (load.output.data() == nullptr && spec.dtype() != load.dtype) {
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
                             : CheckSource(load, target);
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

// One past the last entry that needs fresh values.
size_t EndOfInitialized(const Wanted& wanted) {
  size_t end = wanted.size();
  while (end > 0 &&
         (wanted[end - 1] == nullptr || !IsInitialized(*wanted[end - 1]))) {
    --end;
  }
  return end;
}

// Performs one load, entry by entry in the schema's order.
class Loader {
 public:
  Loader(Placement& placement, const Architecture& schema,
         RandomStreams streams, uint64_t seed, const Wanted& wanted)
      : placement_(placement),
        schema_(schema),
        streams_(streams),
        seed_(seed),
        wanted_(wanted),
        end_of_initialized_(EndOfInitialized(wanted)) {}

  absl::Status Run() {
    size_t i = 0;
    const absl::Status status = GuardTorch([&] {
      for (; i < wanted_.size(); ++i) Handle(i);
    });
    return status.ok() ? status : Annotate(status, schema_.entries[i].key);
  }

 private:
  void Handle(size_t i) {
    const LoadEntry* const load = wanted_[i];
    if (load == nullptr || !IsInitialized(*load)) {
      if (streams_ == RandomStreams::kOneInOrder && i < end_of_initialized_) {
        placement_.Skip(DistributionOfEntry(i), schema_.entries[i].spec,
                        Generator(i));
      }
      if (load != nullptr) {
        placement_.Load(load->source, load->dtype, load->output);
      }
      return;
    }
    placement_.Initialize(DistributionOfEntry(i), schema_.entries[i].spec,
                          Generator(i), load->output);
  }

  Distribution DistributionOfEntry(size_t i) const {
    const ArchitectureEntry& entry = schema_.entries[i];
    return DistributionOf(entry.initializer, entry.spec.shape());
  }

  at::Generator& Generator(size_t i) {
    if (streams_ == RandomStreams::kOnePerKey) {
      generator_ =
          placement_.NewGenerator(KeySeed(seed_, schema_.entries[i].key));
    } else if (!generator_.defined()) {
      generator_ = placement_.NewGenerator(seed_);
    }
    return generator_;
  }

  Placement& placement_;
  const Architecture& schema_;
  const RandomStreams streams_;
  const uint64_t seed_;
  const Wanted& wanted_;
  const size_t end_of_initialized_;
  at::Generator generator_;
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
                              absl::Span<const LoadEntry> entries) {
  ASSIGN_OR_RETURN(const Wanted wanted, Arrange(schema, entries));
  return Loader(placement, schema, streams, seed, wanted).Run();
}

absl::Status RunPartialLoad(const Architecture& schema, RandomStreams streams,
                            const Device& device, uint64_t seed,
                            absl::Span<const LoadEntry> entries) {
  if (device.kind == Device::Kind::kCpu) {
    return RunPartialLoadAt(*MakeHostPlacement(), schema, streams, seed,
                            entries);
  }
  // A device that is gone by now is refused in the same words.
  RETURN_IF_ERROR(ResolveDevice(device.ToString()).status());
  const at::Device place = ToAtDevice(device);
  absl::Cleanup release = [&] { ReleaseDeviceMemory(place); };
  return RunPartialLoadAt(*MakeDevicePlacement(place), schema, streams, seed,
                          entries);
}

}  // namespace warmstart::backend
