// The two macros that every file which handles absl::Status wants. The client
// has its own, so that it builds without the server's sources.

#ifndef WARMSTART_CLIENT_CPP_STATUS_MACROS_H_
#define WARMSTART_CLIENT_CPP_STATUS_MACROS_H_

#include <utility>

// Returns from the enclosing function when `expr`, an absl::Status, is not OK.
#define CLIENT_RETURN_IF_ERROR(expr)                                    \
  do {                                                                  \
    if (::absl::Status _status = (expr); !_status.ok()) return _status; \
  } while (false)

// CLIENT_ASSIGN_OR_RETURN(auto value, ComputeStatusOr()): assigns the value, or
// returns the status from the enclosing function.
#define CLIENT_ASSIGN_OR_RETURN(lhs, expr) \
  CLIENT_ASSIGN_OR_RETURN_(CLIENT_CONCAT_(_status_or_, __LINE__), lhs, expr)
#define CLIENT_ASSIGN_OR_RETURN_(result, lhs, expr)    \
  auto result = (expr);                                \
  if (!result.ok()) return std::move(result).status(); \
  lhs = *std::move(result)
#define CLIENT_CONCAT_(a, b) CLIENT_CONCAT_INNER_(a, b)
#define CLIENT_CONCAT_INNER_(a, b) a##b

#endif  // WARMSTART_CLIENT_CPP_STATUS_MACROS_H_
