#include <utility>

#include "absl/strings/str_cat.h"
#include "server/torch/model_architecture.h"
#include "server/torch/partial_load.h"

namespace warmstart::backend {
namespace {

class SchemaArchitecture : public ModelArchitecture {
 public:
  explicit SchemaArchitecture(Architecture schema)
      : schema_(std::move(schema)) {}

  const Architecture& schema() const override { return schema_; }
  bool has_forward() const override { return false; }

  absl::Status PartialLoad(const Device& device, uint64_t seed,
                           absl::Span<const LoadEntry> entries,
                           SourceTensors sources) const override {
    return RunPartialLoad(schema_, RandomStreams::kOnePerKey, device, seed,
                          entries, sources);
  }

  absl::StatusOr<std::shared_ptr<const RunnableModel>> Load(
      const Device&, absl::Span<const StateTensor>) const override {
    return absl::FailedPreconditionError(
        absl::StrCat(schema_.name,
                     " is known by its schema alone and has no forward; "
                     "register it by its module"));
  }

 private:
  const Architecture schema_;
};

}  // namespace

std::unique_ptr<ModelArchitecture> MakeSchemaArchitecture(
    Architecture architecture) {
  return std::make_unique<SchemaArchitecture>(std::move(architecture));
}

}  // namespace warmstart::backend
