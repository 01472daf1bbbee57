// The receiving side of DownloadCheckpoint.

#ifndef WARMSTART_CLIENT_CPP_DOWNLOAD_H_
#define WARMSTART_CLIENT_CPP_DOWNLOAD_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/cpp/options.h"
#include "warmstart/v1/checkpoints.grpc.pb.h"

namespace warmstart::client {

// Takes the next bytes of a file. A failure ends the download.
using ByteSink = std::function<absl::Status(absl::string_view bytes)>;

// What was downloaded.
struct Downloaded {
  std::string checkpoint;  // "checkpoints/{id}", also where an alias was named
  std::vector<std::string> parts;  // the same, of a file of several
  int64_t size = 0;                // of the file, in bytes
};

// `request` names a checkpoint or parts, and a format. Hands the file's bytes
// to `sink`, each once and in order, and goes on where it stopped when the
// connection is lost. The checkpoint that an alias named at the start is the
// one that is downloaded to the end.
//
//   DATA_LOSS  the stream is not what it said: too short, too long, or of
//              another size after it was resumed
//   others     as DownloadCheckpoint, or as `sink` says
absl::StatusOr<Downloaded> Download(v1::Checkpoints::StubInterface& stub,
                                    const ClientOptions& options,
                                    v1::DownloadCheckpointRequest request,
                                    const ByteSink& sink,
                                    const ProgressCallback& progress);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_DOWNLOAD_H_
