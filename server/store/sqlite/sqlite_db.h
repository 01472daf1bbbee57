// A thin, typed layer over sqlite3: connections that keep their prepared
// statements, queries that report errors by absl::Status, transactions that
// roll back by themselves.
//
//   SqliteQuery query = db.Query("SELECT name FROM packs WHERE id > ?", 7);
//   while (query.Next()) Use(query.Text(0));
//   RETURN_IF_ERROR(query.status());
//
// Status codes: DATA_LOSS (corrupt, or no database), RESOURCE_EXHAUSTED (disk
// full, out of memory), PERMISSION_DENIED (read-only), UNAVAILABLE (locked for
// longer than the busy timeout), INTERNAL (all others).

#ifndef WARMSTART_SERVER_STORE_SQLITE_SQLITE_DB_H_
#define WARMSTART_SERVER_STORE_SQLITE_SQLITE_DB_H_

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/base/status_macros.h"
#include "server/model/digest.h"
#include "server/store/sqlite/gathering_vfs.h"

struct sqlite3;
struct sqlite3_stmt;

namespace warmstart::store {

class SqliteDb;

// Binds as BLOB, without a copy: the bytes outlive the run.
struct SqliteBytes {
  absl::string_view bytes;
};

// Binds as TEXT, without a copy: it outlives the run.
struct SqliteBorrowed {
  absl::string_view text;
};

// A run of a statement, which it borrows from its connection; or several, one
// after another. The first error ends it and is kept.
class SqliteQuery {
 public:
  // Text binds as TEXT, a Digest as BLOB, nullopt as NULL. These are copied.
  template <typename... Values>
  SqliteQuery(SqliteDb& db, absl::string_view sql, const Values&... values)
      : db_(db), sql_(sql) {
    Prepare();
    BindNext(values...);
  }
  ~SqliteQuery();
  SqliteQuery(const SqliteQuery&) = delete;
  SqliteQuery& operator=(const SqliteQuery&) = delete;

  // Begins a run with other values. In a loop this is cheaper than to borrow
  // the statement each time.
  template <typename... Values>
  void Restart(const Values&... values) {
    Reset();
    BindNext(values...);
  }
  // Binds the parameters behind those that were bound, before the first row.
  template <typename... Values>
  void BindNext(const Values&... values) {
    (Bind(++num_bound_, values), ...);
  }
  // A whole run, of a statement whose rows nobody wants.
  template <typename... Values>
  absl::Status Run(const Values&... values) {
    Restart(values...);
    return Finish();
  }
  // The rest of a run.
  absl::Status Finish() {
    while (Next()) {
    }
    return status_;
  }

  // Goes to the first or next row; false at the end and after an error.
  bool Next();
  const absl::Status& status() const { return status_; }

  // Of the row; columns count from 0. Views are good until Next.
  int64_t Int(int column) const;
  absl::string_view Text(int column) const;  // of a TEXT or BLOB
  std::string String(int column) const { return std::string(Text(column)); }
  bool IsNull(int column) const;
  // DATA_LOSS where the column is no digest.
  absl::StatusOr<Digest> DigestAt(int column) const;

 private:
  enum class Lifetime { kCopied, kBorrowed };
  // What SQLite is to do with the bytes at the end.
  static auto DestructorFor(Lifetime lifetime) -> void (*)(void*);

  template <std::integral T>
  void Bind(int index, T value) {
    BindInt(index, static_cast<int64_t>(value));
  }
  template <typename T>
  void Bind(int index, const std::optional<T>& value) {
    if (value.has_value()) Bind(index, *value);  // what is not bound is NULL
  }
  void Bind(int index, absl::string_view value) {
    BindText(index, value, Lifetime::kCopied);
  }
  void Bind(int index, SqliteBorrowed value) {
    BindText(index, value.text, Lifetime::kBorrowed);
  }
  void Bind(int index, const Digest& value) {
    BindBlob(index, value.bytes(), Lifetime::kCopied);
  }
  void Bind(int index, SqliteBytes value) {
    BindBlob(index, value.bytes, Lifetime::kBorrowed);
  }

  void Prepare();
  void Reset();
  void BindInt(int index, int64_t value);
  void BindText(int index, absl::string_view value, Lifetime lifetime);
  void BindBlob(int index, absl::string_view value, Lifetime lifetime);
  void Check(int code);

  SqliteDb& db_;
  const absl::string_view sql_;
  sqlite3_stmt* statement_ = nullptr;
  int num_bound_ = 0;
  absl::Status status_;
};

// A connection. For one thread at a time.
class SqliteDb {
 public:
  // Creates the file where it does not exist. Foreign keys are enforced.
  static absl::StatusOr<std::unique_ptr<SqliteDb>> Open(
      const std::string& path);
  // A connection for many commits, through a GatheringVfs. The write-ahead log
  // is cut to 32 MiB where it was longer and is begun anew.
  static absl::StatusOr<std::unique_ptr<SqliteDb>> OpenForWriting(
      const std::string& path);
  ~SqliteDb();
  SqliteDb(const SqliteDb&) = delete;
  SqliteDb& operator=(const SqliteDb&) = delete;

  // `sql` is one statement and outlives the query.
  template <typename... Values>
  SqliteQuery Query(absl::string_view sql, const Values&... values) {
    return SqliteQuery(*this, sql, values...);
  }
  // Runs a statement to its end.
  template <typename... Values>
  absl::Status Run(absl::string_view sql, const Values&... values) {
    return SqliteQuery(*this, sql, values...).Finish();
  }
  // The first column of the first row; nullopt where there is no row.
  template <typename... Values>
  absl::StatusOr<std::optional<int64_t>> FindInt(absl::string_view sql,
                                                 const Values&... values) {
    SqliteQuery query(*this, sql, values...);
    std::optional<int64_t> value;
    if (query.Next()) value = query.Int(0);
    RETURN_IF_ERROR(query.status());
    return value;
  }
  // Runs any number of statements, once; nothing of them is kept prepared.
  absl::Status RunScript(const std::string& sql);

  // How long to wait for a lock that another connection has; 10 s at first.
  void SetBusyTimeout(absl::Duration timeout);

  // Calls `on_commit` with the number of pages in the write-ahead log after
  // each commit of this connection, which then no longer copies them into the
  // database by itself.
  void SetCommitHook(std::function<void(int log_pages)> on_commit);

  // Makes SQL's name(x) call `function` with an integer; it gives NULL. For
  // triggers of this connection.
  absl::Status DefineFunction(const char* name,
                              std::function<void(int64_t)> function);

  int64_t last_insert_id() const;
  // Rows that the last INSERT, UPDATE or DELETE changed.
  int64_t num_changes() const;
  bool in_transaction() const;

  const std::string& path() const { return path_; }

 private:
  friend class SqliteQuery;

  // `vfs` may be null.
  static absl::StatusOr<std::unique_ptr<SqliteDb>> Open(
      const std::string& path, std::unique_ptr<GatheringVfs> vfs);

  SqliteDb(std::string path, std::unique_ptr<GatheringVfs> vfs, sqlite3* handle)
      : path_(std::move(path)), vfs_(std::move(vfs)), handle_(handle) {}

  // A statement is out of the cache while a query runs it, so that a query
  // inside another one of the same text gets its own.
  absl::StatusOr<sqlite3_stmt*> TakeStatement(absl::string_view sql);
  void GiveBackStatement(absl::string_view sql, sqlite3_stmt* statement);
  absl::Status Error() const;

  const std::string path_;
  const std::unique_ptr<GatheringVfs> vfs_;
  sqlite3* const handle_;
  absl::flat_hash_map<std::string, sqlite3_stmt*> statements_;
  std::function<void(int)> on_commit_;
};

// Rolls back at its end unless Commit was reached.
class SqliteTransaction {
 public:
  explicit SqliteTransaction(SqliteDb& db) : db_(db) {}
  ~SqliteTransaction();
  SqliteTransaction(const SqliteTransaction&) = delete;
  SqliteTransaction& operator=(const SqliteTransaction&) = delete;

  absl::Status BeginWrite();
  // What is read from here on is one state, whatever others write meanwhile.
  absl::Status BeginRead();
  absl::Status Commit();

 private:
  SqliteDb& db_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_SQLITE_DB_H_
