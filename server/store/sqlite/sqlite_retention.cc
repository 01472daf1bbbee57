#include "server/store/sqlite/sqlite_retention.h"

#include <map>
#include <string>
#include <utility>

#include "server/base/status_macros.h"
#include "server/store/sqlite/sqlite_checkpoints.h"

namespace warmstart::store {
namespace {

// How many rows are looked at before the next ones are found.
constexpr int kRowsAtOnce = 100;

struct Row {
  int64_t sequence = 0;
  RetiredCheckpoint checkpoint;  // without `rule`
  Labels labels;
};

// nullopt where something protects it.
absl::StatusOr<std::optional<Row>> ReadRow(SqliteDb& db, int64_t sequence) {
  Row row{.sequence = sequence};
  {
    SqliteQuery query = db.Query(
        "SELECT create_time, expire_time FROM checkpoints WHERE sequence = ?1 "
        "AND NOT EXISTS (SELECT 1 FROM aliases WHERE checkpoint = ?1) "
        "AND NOT EXISTS "
        "(SELECT 1 FROM architecture_versions WHERE initial_values = ?1)",
        sequence);
    const bool found = query.Next();
    RETURN_IF_ERROR(query.status());
    if (!found) return std::nullopt;
    row.checkpoint.create_time = absl::FromUnixNanos(query.Int(0));
    if (!query.IsNull(1)) {
      row.checkpoint.expire_time = absl::FromUnixNanos(query.Int(1));
    }
  }
  ASSIGN_OR_RETURN(row.checkpoint.name, ReadCheckpointName(db, sequence));
  ASSIGN_OR_RETURN(row.labels, ReadLabels(db, sequence));
  return row;
}

// The labels of those among which the rule keeps the newest; nullopt where a
// checkpoint with `labels` is none of the rule's.
std::optional<Labels> GroupOf(const RetentionRule& rule, const Labels& labels) {
  Labels group = rule.labels;
  if (!rule.key.empty()) {
    const auto found = labels.find(rule.key);
    if (found == labels.end()) return std::nullopt;
    group.insert(*found);
  }
  for (const auto& [key, value] : group) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return std::nullopt;
  }
  return group;
}

// What the rules keep of one state of the catalog.
class Keeper {
 public:
  Keeper(SqliteDb& db, const RetentionPolicy& policy)
      : db_(db), policy_(policy) {}

  // The oldest that the rule keeps of a group; 0 where it keeps all.
  absl::StatusOr<int64_t> OldestKept(const Labels& group, int64_t keep) {
    const auto [found, is_new] = oldest_kept_.try_emplace({group, keep}, 0);
    if (!is_new) return found->second;
    ASSIGN_OR_RETURN(const std::vector<int64_t> newest,
                     ListSequences(db_, {.labels = group}, Catalog::kNewest,
                                   static_cast<int>(keep)));
    if (static_cast<int64_t>(newest.size()) == keep) {
      found->second = newest.back();
    }
    return found->second;
  }

  // With its rule where it is to go; nullopt where it is not.
  absl::StatusOr<std::optional<RetiredCheckpoint>> Check(Row row) {
    RetiredCheckpoint& checkpoint = row.checkpoint;
    if (checkpoint.expire_time.has_value() &&
        *checkpoint.expire_time <= policy_.now) {
      return std::move(checkpoint);
    }
    checkpoint.expire_time.reset();
    for (const RetentionRule& rule : policy_.rules) {
      const std::optional<Labels> group = GroupOf(rule, row.labels);
      if (!group.has_value()) continue;
      ASSIGN_OR_RETURN(const int64_t oldest_kept,
                       OldestKept(*group, rule.keep));
      if (row.sequence >= oldest_kept) return std::nullopt;
      if (checkpoint.rule.empty()) {
        checkpoint.rule =
            RetentionRule{.labels = *group, .keep = rule.keep}.ToString();
      }
    }
    if (checkpoint.rule.empty()) return std::nullopt;
    return std::move(checkpoint);
  }

 private:
  SqliteDb& db_;
  const RetentionPolicy& policy_;
  std::map<std::pair<Labels, int64_t>, int64_t> oldest_kept_;
};

// Finds what is to go, up to a limit.
class Finder {
 public:
  Finder(SqliteDb& db, const RetentionPolicy& policy, int limit)
      : db_(db), policy_(policy), limit_(limit), keeper_(db, policy) {}

  absl::StatusOr<std::vector<RetiredCheckpoint>> Find() {
    RETURN_IF_ERROR(AddExpired());
    for (const RetentionRule& rule : policy_.rules) {
      RETURN_IF_ERROR(AddSuperseded(rule));
    }
    std::vector<RetiredCheckpoint> found;
    found.reserve(found_.size());
    for (auto& [sequence, checkpoint] : found_) {
      found.push_back(std::move(checkpoint));
    }
    return found;
  }

 private:
  bool is_full() const { return static_cast<int>(found_.size()) >= limit_; }

  absl::Status Add(int64_t sequence) {
    ASSIGN_OR_RETURN(std::optional<Row> row, ReadRow(db_, sequence));
    if (!row.has_value()) return absl::OkStatus();
    ASSIGN_OR_RETURN(std::optional<RetiredCheckpoint> retired,
                     keeper_.Check(*std::move(row)));
    if (retired.has_value()) found_.emplace(sequence, *std::move(retired));
    return absl::OkStatus();
  }

  absl::Status AddExpired() {
    SqliteQuery query = db_.Query(
        "SELECT sequence FROM checkpoints INDEXED BY "
        "checkpoints_by_expire_time "
        "WHERE expire_time IS NOT NULL AND expire_time <= ? "
        "ORDER BY expire_time",
        absl::ToUnixNanos(policy_.now));
    while (!is_full() && query.Next()) RETURN_IF_ERROR(Add(query.Int(0)));
    return query.status();
  }

  absl::Status AddSuperseded(const RetentionRule& rule) {
    if (rule.key.empty()) return AddSuperseded(rule.labels, rule.keep);
    std::optional<std::string> value;
    while (!is_full()) {
      ASSIGN_OR_RETURN(value, NextValue(rule.key, value));
      if (!value.has_value()) break;
      Labels group = rule.labels;
      group[rule.key] = *value;
      RETURN_IF_ERROR(AddSuperseded(group, rule.keep));
    }
    return absl::OkStatus();
  }

  absl::Status AddSuperseded(const Labels& group, int64_t keep) {
    ASSIGN_OR_RETURN(int64_t before, keeper_.OldestKept(group, keep));
    while (before > 0 && !is_full()) {
      ASSIGN_OR_RETURN(
          const std::vector<int64_t> rows,
          ListSequences(db_, {.labels = group}, before, kRowsAtOnce));
      before = rows.empty() ? 0 : rows.back();
      for (const int64_t row : rows) {
        if (is_full()) break;
        RETURN_IF_ERROR(Add(row));
      }
    }
    return absl::OkStatus();
  }

  // The value of the label `key` that comes after `value`, or the first.
  absl::StatusOr<std::optional<std::string>> NextValue(
      const std::string& key, const std::optional<std::string>& value) {
    SqliteQuery query =
        value.has_value()
            ? db_.Query(
                  "SELECT value FROM labels INDEXED BY labels_by_value "
                  "WHERE key = ? AND value > ? ORDER BY value LIMIT 1",
                  key, *value)
            : db_.Query(
                  "SELECT value FROM labels INDEXED BY labels_by_value "
                  "WHERE key = ? ORDER BY value LIMIT 1",
                  key);
    std::optional<std::string> next;
    if (query.Next()) next = query.String(0);
    RETURN_IF_ERROR(query.status());
    return next;
  }

  SqliteDb& db_;
  const RetentionPolicy& policy_;
  const int limit_;
  Keeper keeper_;
  std::map<int64_t, RetiredCheckpoint> found_;  // the oldest first
};

}  // namespace

absl::StatusOr<std::vector<RetiredCheckpoint>> FindRetiredRows(
    SqliteDb& db, const RetentionPolicy& policy, int limit) {
  return Finder(db, policy, limit).Find();
}

absl::StatusOr<std::optional<RetiredCheckpoint>> CheckRetired(
    SqliteDb& db, int64_t checkpoint, const RetentionPolicy& policy) {
  ASSIGN_OR_RETURN(std::optional<Row> row, ReadRow(db, checkpoint));
  if (!row.has_value()) return std::nullopt;
  return Keeper(db, policy).Check(*std::move(row));
}

}  // namespace warmstart::store
