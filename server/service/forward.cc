#include "server/service/forward.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/service/fresh_tensors.h"
#include "server/service/handles.h"
#include "server/service/resident_models.h"
#include "server/service/state_tensors.h"
#include "server/service/tensor_file.h"

namespace warmstart::service {
namespace {

constexpr int64_t kMaxOutputBytes = int64_t{64} << 20;

// The architecture that the request names or, where it names none, the
// checkpoint does.
absl::StatusOr<ModelPtr> FindModel(const Context& context,
                                   const ForwardRequest& request,
                                   const store::Checkpoint& checkpoint) {
  const std::string& name = request.architecture.empty()
                                ? checkpoint.architecture
                                : request.architecture;
  if (name.empty()) {
    return WithErrorInfo(
        absl::FailedPreconditionError(absl::StrCat(
            checkpoint.name.ToString(),
            " was saved without an architecture; say in `architecture` which "
            "one it is to be run as")),
        reason::kArchitectureNotNamed,
        {{"checkpoint", checkpoint.name.ToString()}});
  }
  ASSIGN_OR_RETURN(ModelPtr model, context.architectures->Find(name));
  if (model->has_forward()) return model;
  return WithErrorInfo(
      absl::FailedPreconditionError(absl::StrCat(
          model->schema().name,
          " has no forward: it was registered by its schema alone; register it "
          "by its module, whose layers the server can run")),
      reason::kNoForward, {{"architecture", name}});
}

absl::StatusOr<ArchitectureName> NameOf(const Architecture& schema) {
  ASSIGN_OR_RETURN(const ArchitectureName name,
                   ArchitectureName::Parse(schema.name));
  return name.WithVersion(schema.version);
}

absl::Status OutOfMemory(absl::Status status) {
  if (!absl::IsResourceExhausted(status)) return status;
  return WithErrorInfo(std::move(status), reason::kOutOfMemory);
}

absl::StatusOr<ResidentModels::Lease> Borrow(
    const Context& context, const ResidentModels::Key& key,
    const backend::ModelArchitecture& model,
    const store::Checkpoint& checkpoint) {
  absl::StatusOr<ResidentModels::Lease> lease = context.resident_models->Get(
      key, checkpoint.num_bytes,
      [&]() -> absl::StatusOr<ResidentModels::Model> {
        ASSIGN_OR_RETURN(
            const std::vector<backend::StateTensor> state,
            OpenState(*context.store, checkpoint.name, model.schema()));
        return model.Load(key.device, state);
      });
  if (!lease.ok()) return OutOfMemory(lease.status());
  return lease;
}

absl::StatusOr<std::vector<backend::ModelOutput>> Run(
    const backend::RunnableModel& model, const ForwardInputs& inputs) {
  absl::StatusOr<std::vector<backend::ModelOutput>> outputs =
      model.Forward(inputs.Views(), kMaxOutputBytes);
  if (absl::IsInvalidArgument(outputs.status())) {
    return InvalidField("inputs", outputs.status().message());
  }
  if (!outputs.ok()) return OutOfMemory(outputs.status());
  return outputs;
}

std::vector<std::string> NotesOn(
    const std::vector<backend::ModelOutput>& outputs) {
  std::vector<std::string> notes;
  for (const backend::ModelOutput& output : outputs) {
    if (output.num_non_finite == 0) continue;
    notes.push_back(absl::StrCat(
        output.num_non_finite, " of the ", output.tensor.spec.num_elements(),
        " values of '", output.name, "' are NaN or infinite"));
  }
  return notes;
}

}  // namespace

absl::StatusOr<ForwardResult> Forward(const Context& context,
                                      const ForwardRequest& request) {
  ASSIGN_OR_RETURN(
      const store::Checkpoint checkpoint,
      FindCheckpoint(*context.store, "checkpoint", request.checkpoint));
  ASSIGN_OR_RETURN(const ModelPtr model,
                   FindModel(context, request, checkpoint));
  ForwardResult result;
  result.checkpoint = checkpoint.name;
  ASSIGN_OR_RETURN(result.architecture, NameOf(model->schema()));
  ASSIGN_OR_RETURN(result.device, ResolveRequestDevice(request.device,
                                                       context.default_device));
  ASSIGN_OR_RETURN(const ForwardInputs inputs,
                   ForwardInputs::Make(request.inputs, request.input_file));
  ASSIGN_OR_RETURN(
      const ResidentModels::Lease lease,
      Borrow(context, {result.checkpoint, result.architecture, result.device},
             *model, checkpoint));
  result.was_resident = lease.was_resident();
  ASSIGN_OR_RETURN(result.outputs, Run(lease.model(), inputs));
  result.notes = NotesOn(result.outputs);
  if (request.output_format.has_value()) {
    ASSIGN_OR_RETURN(result.output_file,
                     WriteTensorFile(result.outputs, *request.output_format));
  }
  return result;
}

}  // namespace warmstart::service
