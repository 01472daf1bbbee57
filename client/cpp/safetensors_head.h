// .safetensors files of plain bytes, which bring what a store keeps by digest.

#ifndef WARMSTART_CLIENT_CPP_SAFETENSORS_HEAD_H_
#define WARMSTART_CLIENT_CPP_SAFETENSORS_HEAD_H_

#include <cstdint>
#include <string>

#include "absl/types/span.h"

namespace warmstart::client {

// A one-dimensional uint8 tensor.
struct SafetensorsEntry {
  std::string name;  // of letters and digits
  int64_t size = 0;  // bytes
};

// What stands before the tensors' bytes in a file of these, which then follow
// each other without gaps; a multiple of 64 bytes. The same entries always give
// the same bytes.
std::string SafetensorsHead(absl::Span<const SafetensorsEntry> entries);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_SAFETENSORS_HEAD_H_
