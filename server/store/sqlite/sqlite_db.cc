#include "server/store/sqlite/sqlite_db.h"

#include <errno.h>
#include <sqlite3.h>
#include <string.h>

#include "absl/strings/str_cat.h"

namespace warmstart::store {
namespace {

// Only another program that looks into the file can make us wait: the store's
// own writers queue for one connection.
constexpr absl::Duration kBusyTimeout = absl::Seconds(10);

constexpr char kConnectionSetup[] =
    "PRAGMA foreign_keys = ON;"
    // In WAL mode: every commit is synced before it is answered.
    "PRAGMA synchronous = FULL;"
    // 4 MiB for each connection; the kernel caches the file as well.
    "PRAGMA cache_size = -4096;"
    "PRAGMA temp_store = MEMORY;"
    // Finds a damaged page when it is read instead of later.
    "PRAGMA cell_size_check = ON;"
    "PRAGMA trusted_schema = OFF;";

// A log keeps the length that it once had, unless told otherwise. This is well
// above what it has while nobody keeps an old state of the database: a file
// that is cut must grow again, which makes each sync longer.
constexpr char kWritingSetup[] = "PRAGMA journal_size_limit = 33554432;";

bool IsNoSpace(int system_errno) {
  return system_errno == ENOSPC || system_errno == EDQUOT ||
         system_errno == EFBIG;
}

bool IsNoPermission(int system_errno) {
  return system_errno == EACCES || system_errno == EPERM ||
         system_errno == EROFS;
}

absl::StatusCode CodeOfSqlite(int code, int system_errno) {
  switch (code & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_IOERR:
      // SQLite calls a full disk FULL, but not a full quota. Of a write alone:
      // what a sync did not write may reach the disk all the same, and
      // RESOURCE_EXHAUSTED says that nothing has changed.
      return code == SQLITE_IOERR_WRITE && IsNoSpace(system_errno)
                 ? absl::StatusCode::kResourceExhausted
                 : absl::StatusCode::kInternal;
    case SQLITE_CANTOPEN:
      if (IsNoSpace(system_errno)) return absl::StatusCode::kResourceExhausted;
      return IsNoPermission(system_errno) ? absl::StatusCode::kPermissionDenied
                                          : absl::StatusCode::kInternal;
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return absl::StatusCode::kPermissionDenied;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

// What SQLite says does not tell one trouble with the disk from another.
std::string ReasonOf(int code, int system_errno) {
  const bool is_of_disk =
      (code & 0xFF) == SQLITE_IOERR || (code & 0xFF) == SQLITE_CANTOPEN;
  if (!is_of_disk || system_errno == 0) return "";
  return absl::StrCat(": ", strerror(system_errno));
}

// Of the call that failed just now, before which errno was 0: SQLite keeps the
// errno for sqlite3_system_errno, but not that of a COMMIT.
absl::Status ErrorOf(const std::string& path, sqlite3* handle) {
  const int system_errno = errno;
  const int code = sqlite3_extended_errcode(handle);
  return absl::Status(
      CodeOfSqlite(code, system_errno),
      absl::StrCat("catalog '", path, "': ", sqlite3_errmsg(handle),
                   ReasonOf(code, system_errno), " (SQLite error ", code, ")"));
}

}  // namespace

SqliteQuery::~SqliteQuery() {
  if (statement_ != nullptr) db_.GiveBackStatement(sql_, statement_);
}

void SqliteQuery::Prepare() {
  absl::StatusOr<sqlite3_stmt*> statement = db_.TakeStatement(sql_);
  if (statement.ok()) {
    statement_ = *statement;
  } else {
    status_ = statement.status();
  }
}

void SqliteQuery::Reset() {
  if (!status_.ok()) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  num_bound_ = 0;
}

bool SqliteQuery::Next() {
  if (!status_.ok()) return false;
  errno = 0;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) status_ = db_.Error();
  return false;
}

int64_t SqliteQuery::Int(int column) const {
  return sqlite3_column_int64(statement_, column);
}

absl::string_view SqliteQuery::Text(int column) const {
  // As a blob, since that converts nothing; the database is in UTF-8.
  const auto* data =
      static_cast<const char*>(sqlite3_column_blob(statement_, column));
  return absl::string_view(data, sqlite3_column_bytes(statement_, column));
}

bool SqliteQuery::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

absl::StatusOr<Digest> SqliteQuery::DigestAt(int column) const {
  absl::StatusOr<Digest> digest = Digest::FromBytes(Text(column));
  if (digest.ok()) return digest;
  return absl::DataLossError(
      absl::StrCat("catalog '", db_.path(), "': ", digest.status().message()));
}

auto SqliteQuery::DestructorFor(Lifetime lifetime) -> void (*)(void*) {
  return lifetime == Lifetime::kCopied ? SQLITE_TRANSIENT : SQLITE_STATIC;
}

void SqliteQuery::BindInt(int index, int64_t value) {
  if (status_.ok()) Check(sqlite3_bind_int64(statement_, index, value));
}

void SqliteQuery::BindText(int index, absl::string_view value,
                           Lifetime lifetime) {
  // A null pointer would bind NULL, and not the empty text.
  const char* data = value.empty() ? "" : value.data();
  if (status_.ok()) {
    Check(sqlite3_bind_text64(statement_, index, data, value.size(),
                              DestructorFor(lifetime), SQLITE_UTF8));
  }
}

void SqliteQuery::BindBlob(int index, absl::string_view value,
                           Lifetime lifetime) {
  if (status_.ok()) {
    Check(sqlite3_bind_blob64(statement_, index, value.data(), value.size(),
                              DestructorFor(lifetime)));
  }
}

void SqliteQuery::Check(int code) {
  if (code != SQLITE_OK) status_ = db_.Error();
}

absl::StatusOr<std::unique_ptr<SqliteDb>> SqliteDb::Open(
    const std::string& path) {
  return Open(path, nullptr);
}

absl::StatusOr<std::unique_ptr<SqliteDb>> SqliteDb::OpenForWriting(
    const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteDb> db,
                   Open(path, std::make_unique<GatheringVfs>()));
  RETURN_IF_ERROR(db->RunScript(kWritingSetup));
  return db;
}

absl::StatusOr<std::unique_ptr<SqliteDb>> SqliteDb::Open(
    const std::string& path, std::unique_ptr<GatheringVfs> vfs) {
  sqlite3* handle = nullptr;
  errno = 0;
  // Without SQLite's own mutex: a connection is used by one thread at a time.
  const int code = sqlite3_open_v2(
      path.c_str(), &handle,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
      vfs == nullptr ? nullptr : vfs->name());
  if (handle == nullptr) {
    return absl::ResourceExhaustedError("out of memory for a connection");
  }
  std::unique_ptr<SqliteDb> db(
      new SqliteDb(path, std::move(vfs), handle));  // owns it, failed or not
  if (code != SQLITE_OK) return db->Error();
  sqlite3_extended_result_codes(handle, 1);
  db->SetBusyTimeout(kBusyTimeout);
  RETURN_IF_ERROR(db->RunScript(kConnectionSetup));
  return db;
}

SqliteDb::~SqliteDb() {
  for (const auto& [sql, statement] : statements_) {
    sqlite3_finalize(statement);
  }
  sqlite3_close(handle_);
}

absl::Status SqliteDb::RunScript(const std::string& sql) {
  errno = 0;
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) !=
      SQLITE_OK) {
    return Error();
  }
  return absl::OkStatus();
}

void SqliteDb::SetBusyTimeout(absl::Duration timeout) {
  sqlite3_busy_timeout(handle_,
                       static_cast<int>(absl::ToInt64Milliseconds(timeout)));
}

void SqliteDb::SetCommitHook(std::function<void(int)> on_commit) {
  on_commit_ = std::move(on_commit);
  sqlite3_wal_hook(
      handle_,
      [](void* self, sqlite3*, const char*, int log_pages) {
        static_cast<SqliteDb*>(self)->on_commit_(log_pages);
        return SQLITE_OK;
      },
      this);
}

absl::Status SqliteDb::DefineFunction(const char* name,
                                      std::function<void(int64_t)> function) {
  using Function = std::function<void(int64_t)>;
  const int code = sqlite3_create_function_v2(
      handle_, name, 1, SQLITE_UTF8, new Function(std::move(function)),
      [](sqlite3_context* context, int, sqlite3_value** arguments) {
        (*static_cast<Function*>(sqlite3_user_data(context)))(
            sqlite3_value_int64(arguments[0]));
      },
      nullptr, nullptr,
      // Also called where the definition fails.
      [](void* defined) { delete static_cast<Function*>(defined); });
  return code == SQLITE_OK ? absl::OkStatus() : Error();
}

int64_t SqliteDb::last_insert_id() const {
  return sqlite3_last_insert_rowid(handle_);
}

int64_t SqliteDb::num_changes() const { return sqlite3_changes64(handle_); }

bool SqliteDb::in_transaction() const {
  return sqlite3_get_autocommit(handle_) == 0;
}

absl::StatusOr<sqlite3_stmt*> SqliteDb::TakeStatement(absl::string_view sql) {
  if (const auto found = statements_.find(sql); found != statements_.end()) {
    if (found->second != nullptr) return std::exchange(found->second, nullptr);
  }
  sqlite3_stmt* statement = nullptr;
  errno = 0;
  if (sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                         SQLITE_PREPARE_PERSISTENT, &statement,
                         nullptr) != SQLITE_OK) {
    return Error();
  }
  return statement;
}

void SqliteDb::GiveBackStatement(absl::string_view sql,
                                 sqlite3_stmt* statement) {
  // A statement that is not reset keeps its snapshot, and bound values their
  // memory.
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  sqlite3_stmt*& slot = statements_[sql];
  if (slot == nullptr) {
    slot = statement;
  } else {
    sqlite3_finalize(statement);
  }
}

absl::Status SqliteDb::Error() const { return ErrorOf(path_, handle_); }

SqliteTransaction::~SqliteTransaction() {
  // Some errors make SQLite roll back by itself.
  if (db_.in_transaction()) db_.Run("ROLLBACK").IgnoreError();
}

// IMMEDIATE: the lock is taken here and not, with a chance of failing, at the
// first write.
absl::Status SqliteTransaction::BeginWrite() {
  return db_.Run("BEGIN IMMEDIATE");
}

absl::Status SqliteTransaction::BeginRead() { return db_.Run("BEGIN"); }

absl::Status SqliteTransaction::Commit() { return db_.Run("COMMIT"); }

}  // namespace warmstart::store
