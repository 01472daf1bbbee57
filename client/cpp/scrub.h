// The receiving side of ScrubStore.

#ifndef WARMSTART_CLIENT_CPP_SCRUB_H_
#define WARMSTART_CLIENT_CPP_SCRUB_H_

#include "absl/status/statusor.h"
#include "client/cpp/options.h"
#include "warmstart/v1/admin.grpc.pb.h"

namespace warmstart::client {

// Has the server scrub its store, from the beginning again where the connection
// is lost, and waits for the result.
//
//   DATA_LOSS  the stream ended without a result
//   others     as ScrubStore
absl::StatusOr<v1::ScrubResult> Scrub(v1::Admin::StubInterface& stub,
                                      const ClientOptions& options,
                                      const ProgressCallback& progress);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_SCRUB_H_
