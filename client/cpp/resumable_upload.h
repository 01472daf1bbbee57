// The sending side of Uploads: files that go on where they stopped when the
// connection or the server is lost, or the program is started again.

#ifndef WARMSTART_CLIENT_CPP_RESUMABLE_UPLOAD_H_
#define WARMSTART_CLIENT_CPP_RESUMABLE_UPLOAD_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cpp/file_set.h"
#include "client/cpp/options.h"
#include "warmstart/v1/model_initializer.grpc.pb.h"
#include "warmstart/v1/uploads.grpc.pb.h"

namespace warmstart::client {

struct UploadOptions {
  // "uploads/{id}": goes on with it, after the SHA-256 of what the server has
  // of each file was compared. Empty begins a new one.
  std::string resume;
  // Told of its name before the first byte is sent; may be empty.
  std::function<void(const std::string& upload)> on_begin;
};

// Sends `files`, straight from where they lie, and has them saved as `header`,
// which must have a request_id, says. Where the connection is lost, it asks for
// what the server has and sends the rest. Memory does not grow with the files.
//
// A file that the server cannot read is deleted there; after any other failure
// the upload stays, to be resumed until it expires.
//
//   UNIMPLEMENTED        the server is of a time before uploads
//   FAILED_PRECONDITION  a file became shorter while it was read; or what is to
//                        be resumed are other files
//   others               as Uploads and SaveModel, or as the system says of a
//                        file
absl::StatusOr<v1::SaveModelResponse> ResumableUpload(
    v1::Uploads::StubInterface& uploads,
    v1::ModelInitializer::StubInterface& models, const ClientOptions& options,
    const v1::SaveModelHeader& header, const std::vector<LocalFile>& files,
    const UploadOptions& upload_options, const ProgressCallback& progress);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_RESUMABLE_UPLOAD_H_
