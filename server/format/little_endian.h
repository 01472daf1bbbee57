// Loads of numbers from unaligned little-endian bytes.

#ifndef WARMSTART_SERVER_FORMAT_LITTLE_ENDIAN_H_
#define WARMSTART_SERVER_FORMAT_LITTLE_ENDIAN_H_

#include <cstddef>
#include <cstdint>

namespace warmstart::format {

// The number in the sizeof(T) bytes at `bytes`, on a machine of either order;
// compilers make one load of it.
template <typename T>
T LoadLittleEndian(const char* bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  }
  return static_cast<T>(value);
}

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_LITTLE_ENDIAN_H_
