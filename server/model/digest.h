// Digest: the name of a run of bytes, which is its SHA-256.

#ifndef WARMSTART_SERVER_MODEL_DIGEST_H_
#define WARMSTART_SERVER_MODEL_DIGEST_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace warmstart {

// A value type. SHA-256 and not a faster checksum: in a store that many users
// share, a forged collision would swap tensors.
class Digest {
 public:
  static constexpr int kSize = 32;

  Digest() : bytes_{} {}

  static Digest Of(absl::string_view data);
  // 64 hexadecimal digits, with or without a "sha256:" prefix.
  static absl::StatusOr<Digest> FromHex(absl::string_view hex);
  // Exactly kSize raw bytes.
  static absl::StatusOr<Digest> FromBytes(absl::string_view bytes);

  absl::string_view bytes() const {
    return absl::string_view(reinterpret_cast<const char*>(bytes_.data()),
                             kSize);
  }
  std::string ToHex() const;

  friend bool operator==(const Digest& a, const Digest& b) {
    return a.bytes_ == b.bytes_;
  }
  friend bool operator!=(const Digest& a, const Digest& b) { return !(a == b); }
  friend bool operator<(const Digest& a, const Digest& b) {
    return a.bytes_ < b.bytes_;
  }
  template <typename H>
  friend H AbslHashValue(H h, const Digest& digest) {
    return H::combine(std::move(h), digest.bytes_);
  }

 private:
  friend class Hasher;

  std::array<uint8_t, kSize> bytes_;
};

// Computes a digest of bytes that come in pieces. Not thread-safe.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  void Update(absl::string_view data);
  // The digest of all that was added. Call once, last.
  Digest Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_DIGEST_H_
