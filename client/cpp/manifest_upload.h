// Saving by manifest: SaveModel's stream with what the server lacks, and no
// more.

#ifndef WARMSTART_CLIENT_CPP_MANIFEST_UPLOAD_H_
#define WARMSTART_CLIENT_CPP_MANIFEST_UPLOAD_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cpp/file_range.h"
#include "client/cpp/options.h"
#include "warmstart/v1/model_initializer.grpc.pb.h"
#include "warmstart/v1/uploads.grpc.pb.h"

namespace warmstart::client {

// A tensor's values, or a whole storage, and where they lie.
struct LocalBlob {
  std::string digest;  // hexadecimal SHA-256
  FileRange bytes;
};

// Asks which of `blobs` the server lacks, and sends `header`, `manifest` and
// those; asks and sends again where the connection is lost, or where tensors
// vanish meanwhile, in the end without asking: `header` must have a request_id.
// `blobs` are all that `manifest` needs, each once. Memory does not grow with
// them.
//
//   FAILED_PRECONDITION  a file changed its size while it was read
//   others               as FindMissingTensors and SaveModel, or as the system
//                        says of a file
absl::StatusOr<v1::SaveModelResponse> UploadManifest(
    v1::ModelInitializer::StubInterface& models,
    v1::Uploads::StubInterface& uploads, const ClientOptions& options,
    const v1::SaveModelHeader& header, const v1::Manifest& manifest,
    const std::vector<LocalBlob>& blobs, const ProgressCallback& progress);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_MANIFEST_UPLOAD_H_
