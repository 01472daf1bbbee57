// The sending side of SaveModel: one stream of header, files and their bytes.

#ifndef WARMSTART_CLIENT_CPP_UPLOAD_H_
#define WARMSTART_CLIENT_CPP_UPLOAD_H_

#include <vector>

#include "absl/status/statusor.h"
#include "client/cpp/file_set.h"
#include "client/cpp/options.h"
#include "warmstart/v1/model_initializer.grpc.pb.h"

namespace warmstart::client {

// Sends `header` and `files`, straight from where they lie, and again from the
// start where the connection is lost: `header` must have a request_id. Memory
// does not grow with the files.
//
//   FAILED_PRECONDITION  a file changed its size while it was read
//   others               as SaveModel, or as the system says of a file
absl::StatusOr<v1::SaveModelResponse> Upload(
    v1::ModelInitializer::StubInterface& stub, const ClientOptions& options,
    const v1::SaveModelHeader& header, const std::vector<LocalFile>& files,
    const ProgressCallback& progress);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_UPLOAD_H_
