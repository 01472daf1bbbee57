#include "server/model/digest.h"

#include <openssl/evp.h>

#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace warmstart {

namespace {

// Looked up once: with EVP_sha256(), each start of a digest looks it up anew,
// which takes longer than the digest of a request does.
const EVP_MD* Sha256() {
  static const EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return fetched != nullptr ? fetched : EVP_sha256();
}

}  // namespace

struct Hasher::Context {
  Context() : evp(EVP_MD_CTX_new()) {
    EVP_DigestInit_ex(evp, Sha256(), nullptr);
  }
  ~Context() { EVP_MD_CTX_free(evp); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  EVP_MD_CTX* evp;
};

Hasher::Hasher() : context_(std::make_unique<Context>()) {}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::Update(absl::string_view data) {
  EVP_DigestUpdate(context_->evp, data.data(), data.size());
}

Digest Hasher::Finish() {
  Digest digest;
  EVP_DigestFinal_ex(context_->evp, digest.bytes_.data(), nullptr);
  return digest;
}

Digest Digest::Of(absl::string_view data) {
  Hasher hasher;
  hasher.Update(data);
  return hasher.Finish();
}

absl::StatusOr<Digest> Digest::FromHex(absl::string_view hex) {
  absl::string_view digits = absl::StripPrefix(hex, "sha256:");
  bool valid = digits.size() == 2 * kSize;
  for (char c : digits) valid = valid && absl::ascii_isxdigit(c);
  if (!valid) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", hex, "' is not a SHA-256 digest of 64 hex digits"));
  }
  return FromBytes(absl::HexStringToBytes(digits));
}

absl::StatusOr<Digest> Digest::FromBytes(absl::string_view bytes) {
  if (bytes.size() != kSize) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a digest has ", kSize, " bytes, these are ", bytes.size()));
  }
  Digest digest;
  std::memcpy(digest.bytes_.data(), bytes.data(), kSize);
  return digest;
}

std::string Digest::ToHex() const { return absl::BytesToHexString(bytes()); }

}  // namespace warmstart
