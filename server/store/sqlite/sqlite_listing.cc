// ListCheckpointRows: how a page is found without looking at what is not on it.
//
// Each condition of a filter is a list of sequences, sorted, in which an index
// finds the next one at or below a bound in a few microseconds. The page is
// their intersection, which is found by leaps: every condition in turn moves
// the bound down to its own next sequence, until all agree on one. So a page
// costs what the rarest condition costs, however common the others are, and
// none depends on what the query planner guesses. Conditions that are all
// common, but seldom meet, may take a leap for each checkpoint that there is;
// so a page ends after some thousands of leaps, whatever it has.

#include <algorithm>
#include <functional>
#include <limits>
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

// What a page may cost besides its rows: some 5 ms.
constexpr int64_t kMaxFruitlessLeaps = 2000;

// Aliases that are gathered for a page: some 2 ms.
constexpr int64_t kMaxGatheredAliases = 5000;

// A sequence at or below a bound, so that a condition holds for none between
// the two; 0 where it holds for none (they start at 1).
struct Landing {
  int64_t sequence = 0;
  bool holds = true;  // whether the condition is known to hold here
};

// Leaps down from a bound.
using Condition = std::function<absl::StatusOr<Landing>(int64_t bound)>;

// For a condition whose next sequence a query has found.
absl::StatusOr<Landing> LandOn(absl::StatusOr<std::optional<int64_t>> found) {
  if (!found.ok()) return found.status();
  return Landing{.sequence = found->value_or(0)};
}

Condition IsAny(SqliteDb& db) {
  return [&db](int64_t bound) {
    return LandOn(
        db.FindInt("SELECT sequence FROM checkpoints WHERE sequence <= ? "
                   "ORDER BY sequence DESC LIMIT 1",
                   bound));
  };
}

Condition HasArchitecture(SqliteDb& db, const ArchitectureName& architecture) {
  if (architecture.version() > 0) {
    return [&db, &architecture](int64_t bound) {
      // The second comparison is what the index is made for. IS, since from =
      // SQLite would conclude the second one and use that alone.
      return LandOn(
          db.FindInt("SELECT sequence FROM checkpoints "
                     "INDEXED BY checkpoints_by_architecture_version "
                     "WHERE architecture = ? AND architecture_version IS ? "
                     "AND architecture_version > 0 AND sequence <= ? "
                     "ORDER BY sequence DESC LIMIT 1",
                     architecture.id(), architecture.version(), bound));
    };
  }
  return [&db, &architecture](int64_t bound) {
    return LandOn(
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
    return LandOn(
        db.FindInt("SELECT checkpoint FROM labels INDEXED BY labels_by_value "
                   "WHERE key = ? AND value = ? AND checkpoint <= ? "
                   "ORDER BY checkpoint DESC LIMIT 1",
                   key, value, bound));
  };
}

Condition HasSomeAlias(SqliteDb& db) {
  return [&db](int64_t bound) {
    return LandOn(db.FindInt(
        "SELECT checkpoint FROM aliases INDEXED BY aliases_by_checkpoint "
        "WHERE checkpoint <= ? ORDER BY checkpoint DESC LIMIT 1",
        bound));
  };
}

Condition IsOneOf(std::vector<int64_t> sequences) {
  std::sort(sequences.begin(), sequences.end());
  return [sequences =
              std::move(sequences)](int64_t bound) -> absl::StatusOr<Landing> {
    const auto above =
        std::upper_bound(sequences.begin(), sequences.end(), bound);
    return Landing{.sequence = above == sequences.begin() ? 0 : *(above - 1)};
  };
}

// The names from `first` to `last`.
struct AliasRange {
  std::string first;
  std::string last;
};

// Goes from one checkpoint with an alias to the next, and looks at its names.
Condition HasAliasIn(SqliteDb& db, AliasRange range) {
  return [&db, range = std::move(range),
          next = HasSomeAlias(db)](int64_t bound) -> absl::StatusOr<Landing> {
    ASSIGN_OR_RETURN(const Landing aliased, next(bound));
    if (aliased.sequence == 0) return aliased;
    ASSIGN_OR_RETURN(
        const std::optional<int64_t> found,
        db.FindInt("SELECT 1 FROM aliases INDEXED BY aliases_by_checkpoint "
                   "WHERE checkpoint = ? AND name BETWEEN ? AND ? LIMIT 1",
                   aliased.sequence, range.first, range.last));
    if (found.has_value()) return aliased;
    return Landing{.sequence = aliased.sequence - 1, .holds = false};
  };
}

// No index has aliases by name and checkpoints by sequence at once, so those
// that match are gathered first. Where they are too many for that, the next
// that matches should not be far.
absl::StatusOr<Condition> HasAlias(SqliteDb& db,
                                   const CheckpointFilter& filter) {
  if (filter.alias_is_prefix && filter.alias.empty()) return HasSomeAlias(db);
  // Aliases are ASCII without DEL, so that is above all that has the prefix.
  AliasRange range = {filter.alias,
                      filter.alias + (filter.alias_is_prefix ? "\x7f" : "")};
  SqliteQuery query = db.Query(
      "SELECT checkpoint FROM aliases WHERE name BETWEEN ? AND ? LIMIT ?",
      range.first, range.last, kMaxGatheredAliases + 1);
  std::vector<int64_t> sequences;
  while (query.Next()) sequences.push_back(query.Int(0));
  RETURN_IF_ERROR(query.status());
  if (sequences.size() > kMaxGatheredAliases) {
    return HasAliasIn(db, std::move(range));
  }
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

// Lands on the highest sequence at or below `bound` for which all conditions
// hold, or on 0; or, when no leaps are left, wherever it is by then.
absl::StatusOr<Landing> Leap(const std::vector<Condition>& conditions,
                             int64_t bound, int64_t& leaps_left) {
  size_t num_agreed = 0;
  for (size_t i = 0; num_agreed < conditions.size() && bound > 0;
       i = (i + 1) % conditions.size()) {
    if (leaps_left-- == 0) return Landing{.sequence = bound, .holds = false};
    ASSIGN_OR_RETURN(const Landing next, conditions[i](bound));
    if (next.sequence < bound) num_agreed = 0;
    if (next.holds) ++num_agreed;
    bound = next.sequence;
  }
  return Landing{.sequence = bound};
}

struct SequencePage {
  std::vector<int64_t> sequences;
  int64_t next_before = 0;  // as ListedCheckpoints has it
};

absl::StatusOr<SequencePage> FindPage(const std::vector<Condition>& conditions,
                                      int64_t before, int limit) {
  // Each of the conditions has to agree to each sequence, and to one more,
  // which tells whether there are more.
  int64_t leaps_left =
      kMaxFruitlessLeaps +
      (limit + int64_t{1}) * static_cast<int64_t>(conditions.size());
  SequencePage page;
  while (true) {
    ASSIGN_OR_RETURN(const Landing next,
                     Leap(conditions, before - 1, leaps_left));
    if (next.sequence == 0) return page;
    if (!next.holds) {
      page.next_before = next.sequence + 1;
      return page;
    }
    if (static_cast<int>(page.sequences.size()) == limit) {
      page.next_before = before;
      return page;
    }
    before = next.sequence;
    page.sequences.push_back(before);
  }
}

}  // namespace

absl::StatusOr<std::vector<int64_t>> ListSequences(
    SqliteDb& db, const CheckpointFilter& filter, int64_t before, int limit) {
  ASSIGN_OR_RETURN(const std::vector<Condition> conditions,
                   ConditionsOf(db, filter));
  int64_t leaps_left = std::numeric_limits<int64_t>::max();
  std::vector<int64_t> sequences;
  while (static_cast<int>(sequences.size()) < limit) {
    ASSIGN_OR_RETURN(const Landing next,
                     Leap(conditions, before - 1, leaps_left));
    if (next.sequence == 0) break;
    before = next.sequence;
    sequences.push_back(before);
  }
  return sequences;
}

absl::StatusOr<ListedCheckpoints> ListCheckpointRows(
    SqliteDb& db, const CheckpointFilter& filter, int64_t before, int limit) {
  ASSIGN_OR_RETURN(const std::vector<Condition> conditions,
                   ConditionsOf(db, filter));
  ASSIGN_OR_RETURN(const SequencePage page,
                   FindPage(conditions, before, limit));
  ListedCheckpoints listed;
  listed.next_before = page.next_before;
  for (const int64_t sequence : page.sequences) {
    ASSIGN_OR_RETURN(Checkpoint checkpoint, ReadCheckpoint(db, sequence));
    listed.checkpoints.push_back({sequence, std::move(checkpoint)});
  }
  return listed;
}

}  // namespace warmstart::store
