#include "server/torch/key_seed.h"

#include <array>

#include "server/model/digest.h"

namespace warmstart::backend {
namespace {

constexpr int kSeedBytes = 8;

std::array<char, kSeedBytes> ToLittleEndian(uint64_t value) {
  std::array<char, kSeedBytes> bytes;
  for (char& byte : bytes) {
    byte = static_cast<char>(value & 0xff);
    value >>= 8;
  }
  return bytes;
}

uint64_t FromLittleEndian(absl::string_view bytes) {
  uint64_t value = 0;
  for (int i = kSeedBytes - 1; i >= 0; --i) {
    value = (value << 8) | static_cast<uint8_t>(bytes[i]);
  }
  return value;
}

}  // namespace

uint64_t KeySeed(uint64_t seed, absl::string_view key) {
  const std::array<char, kSeedBytes> prefix = ToLittleEndian(seed);
  Hasher hasher;
  hasher.Update(absl::string_view(prefix.data(), prefix.size()));
  hasher.Update(key);
  return FromLittleEndian(hasher.Finish().bytes());
}

}  // namespace warmstart::backend
