// The seed of one tensor of a schema.

#ifndef WARMSTART_SERVER_TORCH_KEY_SEED_H_
#define WARMSTART_SERVER_TORCH_KEY_SEED_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace warmstart::backend {

// The first 8 bytes, little-endian, of SHA-256(seed as 8 little-endian bytes,
// then the key's bytes). In Python:
//
//   text = seed.to_bytes(8, "little") + key.encode()
//   key_seed = int.from_bytes(hashlib.sha256(text).digest()[:8], "little")
//   generator = torch.Generator().manual_seed(key_seed)
//   torch.nn.init.normal_(tensor, mean, std, generator=generator)
//
// PyTorch's CPU generator looks at the lower 32 bits of a seed alone: one pair
// of keys in four billion shares its stream.
uint64_t KeySeed(uint64_t seed, absl::string_view key);

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_KEY_SEED_H_
