// PrefixDigest: whether a file still begins as it did.

#ifndef WARMSTART_CLIENT_CPP_PREFIX_DIGEST_H_
#define WARMSTART_CLIENT_CPP_PREFIX_DIGEST_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "client/cpp/file_set.h"

namespace warmstart::client {

// The SHA-256, 32 bytes, of the first `num_bytes` of a file. Fails as
// ReadRange does.
absl::StatusOr<std::string> PrefixDigest(const LocalFile& file,
                                         int64_t num_bytes);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_PREFIX_DIGEST_H_
