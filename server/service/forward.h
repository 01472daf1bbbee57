// Forward: runs a checkpoint.

#ifndef WARMSTART_SERVER_SERVICE_FORWARD_H_
#define WARMSTART_SERVER_SERVICE_FORWARD_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/resource_name.h"
#include "server/service/context.h"
#include "server/service/file_format.h"
#include "server/service/forward_inputs.h"
#include "server/torch/device.h"
#include "server/torch/model_architecture.h"

namespace warmstart::service {

// As the API's message of this name.
struct ForwardRequest {
  std::string checkpoint;
  std::string architecture;  // "" for the checkpoint's
  std::string device;        // "" for the server's
  std::vector<ForwardInput> inputs;
  absl::string_view input_file;  // borrowed
  std::optional<FileFormat> output_format;
};

struct ForwardResult {
  std::vector<backend::ModelOutput> outputs;
  std::string output_file;  // has them, where a format was asked for
  std::vector<std::string> notes;
  CheckpointName checkpoint;
  ArchitectureName architecture;
  backend::Device device;
  bool was_resident = false;
};

// Errors are those of the API's method. Thread-safe.
absl::StatusOr<ForwardResult> Forward(const Context& context,
                                      const ForwardRequest& request);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_FORWARD_H_
