#include "server/service/registered_model.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/service/architecture_checks.h"

namespace warmstart::service {
namespace {

using backend::ModelArchitecture;

// The message of a module's error begins with its place.
absl::Status InvalidModule(absl::string_view message) {
  const size_t end = message.find(": ");
  if (end == absl::string_view::npos) {
    return InvalidField("architecture.module", message);
  }
  return InvalidField(absl::StrCat("architecture.", message.substr(0, end)),
                      message.substr(end + 2));
}

}  // namespace

absl::Status TakeFromModule(Architecture& architecture) {
  if (!architecture.module.has_value()) return absl::OkStatus();
  const absl::StatusOr<std::unique_ptr<ModelArchitecture>> model =
      backend::MakeDeclaredArchitecture(architecture.name, /*version=*/0,
                                        *architecture.module);
  if (absl::IsInvalidArgument(model.status())) {
    return InvalidModule(model.status().message());
  }
  if (!model.ok()) return model.status();
  const Architecture& made = (*model)->schema();
  RETURN_IF_ERROR(CheckAgreement(architecture, made));
  architecture.entries = made.entries;
  architecture.modules = made.modules;
  return absl::OkStatus();
}

absl::StatusOr<ModelPtr> MakeRegisteredModel(Architecture architecture) {
  if (!architecture.module.has_value()) {
    return ModelPtr(backend::MakeSchemaArchitecture(std::move(architecture)));
  }
  absl::StatusOr<std::unique_ptr<ModelArchitecture>> module =
      backend::MakeDeclaredArchitecture(architecture.name, architecture.version,
                                        *architecture.module);
  if (module.ok() && (*module)->schema() == architecture) {
    return ModelPtr(*std::move(module));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "architectures/", VersionedName(architecture),
      " was registered when this server took its module for something else",
      module.ok() ? "" : absl::StrCat(" (", module.status().message(), ")"),
      "; register it again, for a new version"));
}

}  // namespace warmstart::service
