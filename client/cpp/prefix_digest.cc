#include "client/cpp/prefix_digest.h"

#include <openssl/evp.h>

#include <memory>

#include "client/cpp/file_range.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {

absl::StatusOr<std::string> PrefixDigest(const LocalFile& file,
                                         int64_t num_bytes) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(
      EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
  std::string chunk;
  const absl::StatusOr<bool> read =
      ReadRange({file.path, 0, num_bytes}, chunk, [&] {
        EVP_DigestUpdate(context.get(), chunk.data(), chunk.size());
        return true;
      });
  CLIENT_RETURN_IF_ERROR(read.status());
  std::string digest(EVP_MD_size(EVP_sha256()), '\0');
  EVP_DigestFinal_ex(context.get(),
                     reinterpret_cast<unsigned char*>(digest.data()), nullptr);
  return digest;
}

}  // namespace warmstart::client
