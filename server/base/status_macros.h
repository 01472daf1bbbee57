// The two macros that every file which handles absl::Status wants.

#ifndef WARMSTART_SERVER_BASE_STATUS_MACROS_H_
#define WARMSTART_SERVER_BASE_STATUS_MACROS_H_

#include <utility>

// Returns from the enclosing function when `expr`, an absl::Status, is not OK.
#define RETURN_IF_ERROR(expr)                                           \
  do {                                                                  \
    if (::absl::Status _status = (expr); !_status.ok()) return _status; \
  } while (false)

// ASSIGN_OR_RETURN(auto value, ComputeStatusOr()): assigns the value, or
// returns the status from the enclosing function.
#define ASSIGN_OR_RETURN(lhs, expr)                                          \
  WARMSTART_ASSIGN_OR_RETURN_(WARMSTART_CONCAT_(_status_or_, __LINE__), lhs, \
                              expr)
#define WARMSTART_ASSIGN_OR_RETURN_(result, lhs, expr) \
  auto result = (expr);                                \
  if (!result.ok()) return std::move(result).status(); \
  lhs = *std::move(result)
#define WARMSTART_CONCAT_(a, b) WARMSTART_CONCAT_INNER_(a, b)
#define WARMSTART_CONCAT_INNER_(a, b) a##b

#endif  // WARMSTART_SERVER_BASE_STATUS_MACROS_H_
