// Checks of what is to be registered, beyond ValidateArchitecture.

#ifndef WARMSTART_SERVER_SERVICE_ARCHITECTURE_CHECKS_H_
#define WARMSTART_SERVER_SERVICE_ARCHITECTURE_CHECKS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/architecture.h"
#include "server/model/resource_name.h"

namespace warmstart::service {

// INVALID_ARGUMENT, with the field, where the text cannot be a name.
absl::StatusOr<ArchitectureName> ParseArchitectureName(absl::string_view name,
                                                       absl::string_view field);

// INVALID_ARGUMENT, with the field, for more than the server keeps in memory.
absl::Status CheckArchitectureSize(const Architecture& architecture);

// INVALID_ARGUMENT, naming the first difference, where the entries and modules
// that `given` has are not those of the module, which are `made`.
absl::Status CheckAgreement(const Architecture& given,
                            const Architecture& made);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_ARCHITECTURE_CHECKS_H_
