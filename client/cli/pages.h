// Lists that come in pages, gathered.

#ifndef WARMSTART_CLIENT_CLI_PAGES_H_
#define WARMSTART_CLIENT_CLI_PAGES_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {

// Fetches pages of at most `max_page` items until there are `limit` of them, or
// all where it is 0, and returns them as one response; its next_page_token is
// set where there are more. `fetch` is the client's method for one page,
// `size_of` counts the items of a response.
template <typename Response, typename Request, typename Fetch, typename SizeOf>
absl::StatusOr<Response> GatherPages(Request request, int64_t limit,
                                     int max_page, Fetch fetch,
                                     SizeOf size_of) {
  Response all;
  do {
    const int64_t wanted = limit == 0 ? max_page : limit - size_of(all);
    request.set_page_size(
        static_cast<int>(std::min<int64_t>(wanted, max_page)));
    CLIENT_ASSIGN_OR_RETURN(Response page, fetch(request));
    request.set_page_token(page.next_page_token());
    all.clear_next_page_token();
    all.MergeFrom(page);
  } while (!all.next_page_token().empty() &&
           (limit == 0 || size_of(all) < limit));
  return all;
}

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_PAGES_H_
