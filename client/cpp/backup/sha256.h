#ifndef WARMSTART_CLIENT_CPP_BACKUP_SHA256_H_
#define WARMSTART_CLIENT_CPP_BACKUP_SHA256_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace warmstart::client {

// The SHA-256 of bytes that come in pieces. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(absl::string_view bytes);
  // 64 hexadecimal digits. Call once, last.
  std::string FinishHex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_BACKUP_SHA256_H_
