// ListCheckpointRows: how a page is found without looking at what is not on it.
//
// Each condition of a filter is a list of sequences, sorted, in which an index
// finds the next one at or below a bound in a few microseconds. The page is
// their intersection, which is found by leaps: every condition in turn moves
// the bound down to its own next sequence, until all agree on one. So a page
// costs what the rarest condition costs, however common the others are, and
// none depends on what the query planner guesses.

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/store/sqlite/sqlite_checkpoints.h"

namespace warmstart::store {
namespace {

// The highest sequence of a condition that is at most the argument; 0 for none
// (they start at 1).
using Condition = std::function<absl::StatusOr<int64_t>(int64_t)>;

absl::StatusOr<int64_t> OrZero(absl::StatusOr<std::optional<int64_t>> value) {
  if (!value.ok()) return value.status();
  return value->value_or(0);
}

Condition IsAny(SqliteDb& db) {
  return [&db](int64_t bound) {
    return OrZero(
        db.FindInt("SELECT sequence FROM checkpoints WHERE sequence <= ? "
                   "ORDER BY sequence DESC LIMIT 1",
                   bound));
  };
}

Condition HasArchitecture(SqliteDb& db, const ArchitectureName& architecture) {
  if (architecture.version() > 0) {
    return [&db, &architecture](int64_t bound) {
      // The second comparison is what the index is made for.
      return OrZero(
          db.FindInt("SELECT sequence FROM checkpoints "
                     "INDEXED BY checkpoints_by_architecture_version "
                     "WHERE architecture = ? AND architecture_version = ? "
                     "AND architecture_version > 0 AND sequence <= ? "
                     "ORDER BY sequence DESC LIMIT 1",
                     architecture.id(), architecture.version(), bound));
    };
  }
  return [&db, &architecture](int64_t bound) {
    return OrZero(
        db.FindInt("SELECT sequence FROM checkpoints "
                   "INDEXED BY checkpoints_by_architecture "
                   "WHERE architecture = ? AND sequence <= ? "
                   "ORDER BY sequence DESC LIMIT 1",
                   architecture.id(), bound));
  };
}

Condition HasLabel(SqliteDb& db, const std::string& key,
                   const std::string& value) {
  return [&db, &key, &value](int64_t bound) {
    return OrZero(
        db.FindInt("SELECT checkpoint FROM labels INDEXED BY labels_by_value "
                   "WHERE key = ? AND value = ? AND checkpoint <= ? "
                   "ORDER BY checkpoint DESC LIMIT 1",
                   key, value, bound));
  };
}

Condition HasSomeAlias(SqliteDb& db) {
  return [&db](int64_t bound) {
    return OrZero(db.FindInt(
        "SELECT checkpoint FROM aliases INDEXED BY aliases_by_checkpoint "
        "WHERE checkpoint <= ? ORDER BY checkpoint DESC LIMIT 1",
        bound));
  };
}

Condition IsOneOf(std::vector<int64_t> sequences) {
  std::sort(sequences.begin(), sequences.end());
  return [sequences =
              std::move(sequences)](int64_t bound) -> absl::StatusOr<int64_t> {
    const auto above =
        std::upper_bound(sequences.begin(), sequences.end(), bound);
    return above == sequences.begin() ? 0 : *(above - 1);
  };
}

// No index has aliases by name and checkpoints by sequence at once, so those
// that match are gathered first. They are as many as people made by hand.
absl::StatusOr<Condition> HasAlias(SqliteDb& db,
                                   const CheckpointFilter& filter) {
  if (filter.alias_is_prefix && filter.alias.empty()) return HasSomeAlias(db);
  // Aliases are ASCII without DEL, so that is above all that has the prefix.
  const std::string end = filter.alias + (filter.alias_is_prefix ? "\x7f" : "");
  SqliteQuery query =
      db.Query("SELECT checkpoint FROM aliases WHERE name BETWEEN ? AND ?",
               filter.alias, end);
  std::vector<int64_t> sequences;
  while (query.Next()) sequences.push_back(query.Int(0));
  RETURN_IF_ERROR(query.status());
  return IsOneOf(std::move(sequences));
}

absl::StatusOr<std::vector<Condition>> ConditionsOf(
    SqliteDb& db, const CheckpointFilter& filter) {
  std::vector<Condition> conditions;
  if (!filter.alias.empty() || filter.alias_is_prefix) {
    ASSIGN_OR_RETURN(conditions.emplace_back(), HasAlias(db, filter));
  }
  for (const auto& [key, value] : filter.labels) {
    conditions.push_back(HasLabel(db, key, value));
  }
  if (filter.architecture.has_value()) {
    conditions.push_back(HasArchitecture(db, *filter.architecture));
  }
  if (conditions.empty()) conditions.push_back(IsAny(db));
  return conditions;
}

// The highest sequence at or below `bound` that meets all conditions, or 0.
absl::StatusOr<int64_t> Leap(const std::vector<Condition>& conditions,
                             int64_t bound) {
  size_t num_agreed = 0;
  for (size_t i = 0; num_agreed < conditions.size() && bound > 0;
       i = (i + 1) % conditions.size()) {
    ASSIGN_OR_RETURN(const int64_t next, conditions[i](bound));
    num_agreed = next == bound ? num_agreed + 1 : 1;
    bound = next;
  }
  return bound;
}

}  // namespace

absl::StatusOr<std::vector<int64_t>> ListSequences(
    SqliteDb& db, const CheckpointFilter& filter, int64_t before, int limit) {
  ASSIGN_OR_RETURN(const std::vector<Condition> conditions,
                   ConditionsOf(db, filter));
  std::vector<int64_t> page;
  int64_t sequence = before;
  while (static_cast<int>(page.size()) < limit) {
    ASSIGN_OR_RETURN(sequence, Leap(conditions, sequence - 1));
    if (sequence <= 0) break;
    page.push_back(sequence);
  }
  return page;
}

absl::StatusOr<std::vector<ListedCheckpoint>> ListCheckpointRows(
    SqliteDb& db, const CheckpointFilter& filter, int64_t before, int limit) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> sequences,
                   ListSequences(db, filter, before, limit));
  std::vector<ListedCheckpoint> page;
  for (const int64_t sequence : sequences) {
    ASSIGN_OR_RETURN(Checkpoint checkpoint, ReadCheckpoint(db, sequence));
    page.push_back({sequence, std::move(checkpoint)});
  }
  return page;
}

}  // namespace warmstart::store
