// The form in which catalogs keep an architecture.

#ifndef WARMSTART_SERVER_MODEL_ARCHITECTURE_JSON_H_
#define WARMSTART_SERVER_MODEL_ARCHITECTURE_JSON_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/architecture.h"

namespace warmstart {

// A JSON object. FromJson takes what ToJson gave, from this version or an
// earlier one; DATA_LOSS for other text. Equal architectures give equal text.
std::string ArchitectureToJson(const Architecture& architecture);
absl::StatusOr<Architecture> ArchitectureFromJson(absl::string_view json);

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_ARCHITECTURE_JSON_H_
