#include "client/cpp/prefix_digest.h"

#include <openssl/evp.h>

#include <memory>

#include "client/cpp/local_file_reader.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {

absl::StatusOr<std::string> PrefixDigest(const LocalFile& file,
                                         int64_t num_bytes) {
  CLIENT_ASSIGN_OR_RETURN(const LocalFileReader reader,
                          LocalFileReader::Open(file));
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(
      EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
  std::string chunk;
  for (int64_t offset = 0; offset < num_bytes; offset += chunk.size()) {
    CLIENT_RETURN_IF_ERROR(reader.ReadChunk(offset, num_bytes, chunk));
    EVP_DigestUpdate(context.get(), chunk.data(), chunk.size());
  }
  std::string digest(EVP_MD_size(EVP_sha256()), '\0');
  EVP_DigestFinal_ex(context.get(),
                     reinterpret_cast<unsigned char*>(digest.data()), nullptr);
  return digest;
}

}  // namespace warmstart::client
