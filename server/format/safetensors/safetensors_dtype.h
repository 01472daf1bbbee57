// The names that safetensors gives to element types.

#ifndef WARMSTART_SERVER_FORMAT_SAFETENSORS_SAFETENSORS_DTYPE_H_
#define WARMSTART_SERVER_FORMAT_SAFETENSORS_SAFETENSORS_DTYPE_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "server/model/dtype.h"

namespace warmstart::format {

struct SafetensorsDType {
  absl::string_view name;
  int bits = 0;                // of one element
  std::optional<DType> dtype;  // none where we have no such type
};

// Null where safetensors has no such type.
const SafetensorsDType* FindSafetensorsDType(absl::string_view name);
const SafetensorsDType* FindSafetensorsDType(DType dtype);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_SAFETENSORS_SAFETENSORS_DTYPE_H_
