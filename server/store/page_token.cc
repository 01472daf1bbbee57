#include "server/store/page_token.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/model/digest.h"

namespace warmstart::store {
namespace {

constexpr int kDefaultPageSize = 50;
constexpr int kMaxPageSize = 1000;
constexpr size_t kCheckSize = 8;

// Binds a position to its listing, and finds tokens that were cut or made up.
// It is no secret: a token that somebody computes shows them nothing new.
std::string CheckOf(const ListingId& listing, absl::string_view position) {
  std::string text;
  for (const std::string& part : listing) {
    absl::StrAppend(&text, part.size(), ":", part);
  }
  absl::StrAppend(&text, "@", position);
  return std::string(Digest::Of(text).bytes().substr(0, kCheckSize));
}

}  // namespace

std::string EncodePageToken(const ListingId& listing,
                            absl::string_view position) {
  return absl::WebSafeBase64Escape(
      absl::StrCat(CheckOf(listing, position), position));
}

absl::StatusOr<std::string> DecodePageToken(const ListingId& listing,
                                            absl::string_view token) {
  std::string text;
  if (absl::WebSafeBase64Unescape(token, &text) && text.size() >= kCheckSize) {
    std::string position = text.substr(kCheckSize);
    if (absl::StartsWith(text, CheckOf(listing, position))) return position;
  }
  return InvalidField("page_token",
                      "not a token of this listing; use what the previous page "
                      "gave, with the same filters");
}

absl::StatusOr<int> EffectivePageSize(int page_size) {
  if (page_size < 0) return InvalidField("page_size", "must not be negative");
  if (page_size == 0) return kDefaultPageSize;
  return std::min(page_size, kMaxPageSize);
}

}  // namespace warmstart::store
