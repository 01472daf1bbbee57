// How large a chunk of a file may be, in every stream that has them.

#ifndef WARMSTART_SERVER_RPC_CHUNK_SIZE_H_
#define WARMSTART_SERVER_RPC_CHUNK_SIZE_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/base/error_info.h"

namespace warmstart::rpc {

inline absl::Status CheckChunkSize(absl::string_view chunk) {
  constexpr size_t kMaxChunkBytes = 8 * 1024 * 1024;
  if (chunk.size() <= kMaxChunkBytes) return absl::OkStatus();
  return InvalidField("chunk",
                      absl::StrCat("has more than ", kMaxChunkBytes, " bytes"));
}

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_CHUNK_SIZE_H_
