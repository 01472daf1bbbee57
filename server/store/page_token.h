// Page tokens: where a listing goes on. Opaque to clients, and good only for
// the listing that gave them.

#ifndef WARMSTART_SERVER_STORE_PAGE_TOKEN_H_
#define WARMSTART_SERVER_STORE_PAGE_TOKEN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace warmstart::store {

// What identifies a listing: its kind and all of its filters, in order.
using ListingId = std::vector<std::string>;

// `position` is the listing's own text.
std::string EncodePageToken(const ListingId& listing,
                            absl::string_view position);

// The position. INVALID_ARGUMENT for what EncodePageToken did not give, or gave
// for another listing.
absl::StatusOr<std::string> DecodePageToken(const ListingId& listing,
                                            absl::string_view token);

// How many to give for a page_size: a default for 0, and a cap.
// INVALID_ARGUMENT when it is negative.
absl::StatusOr<int> EffectivePageSize(int page_size);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_PAGE_TOKEN_H_
