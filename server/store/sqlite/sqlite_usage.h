// SqliteUsage: how much each transaction adds to what the rows say is stored.
// Triggers count where rows change, so that no transaction can forget to.

#ifndef WARMSTART_SERVER_STORE_SQLITE_SQLITE_USAGE_H_
#define WARMSTART_SERVER_STORE_SQLITE_SQLITE_USAGE_H_

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "server/store/policy/quota.h"
#include "server/store/sqlite/sqlite_db.h"

namespace warmstart::store {

// Of the connection that writes; for one thread at a time.
class SqliteUsage {
 public:
  // Counts from here on. The result outlives every use of `db`.
  static absl::StatusOr<std::unique_ptr<SqliteUsage>> Track(SqliteDb& db);

  // All that is there. Reads as many rows as there are checkpoints.
  static absl::StatusOr<UsageChange> Measure(SqliteDb& db);

  // What has changed since the last Take.
  const UsageChange& pending() const { return pending_; }
  UsageChange Take() { return std::exchange(pending_, UsageChange()); }

 private:
  UsageChange pending_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_SQLITE_USAGE_H_
