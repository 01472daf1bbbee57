#include "server/service/lineage/lineage.h"

#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/planner/glob.h"
#include "server/service/handles.h"
#include "server/service/lineage/ancestor.h"
#include "server/service/warm_start_request.h"

namespace warmstart::service {
namespace {

// Each is tried on each key.
constexpr size_t kMaxGlobs = 1000;

// An ancestor as far as it could be read.
struct Visited {
  CheckpointName name;
  bool deleted = false;
  // Null where it was deleted, or is too large for what is left of the limit.
  std::unique_ptr<const Ancestor> ancestor;
};

// Reads each checkpoint once.
class Ancestors {
 public:
  Ancestors(const Context& context, int64_t max_keys)
      : context_(context), keys_left_(max_keys) {}

  // Whatever its size.
  absl::StatusOr<const Ancestor*> AddRoot(store::Checkpoint record) {
    Visited& root = Add(record.name);
    RETURN_IF_ERROR(Read(std::move(record), root));
    return root.ancestor.get();
  }

  absl::StatusOr<const Visited*> Find(const CheckpointName& name) {
    const auto found = positions_.find(name.id());
    if (found != positions_.end()) return visited_[found->second].get();
    Visited& visited = Add(name);
    absl::StatusOr<store::Checkpoint> record =
        context_.store->GetCheckpoint(name);
    absl::Status status = record.status();
    if (status.ok() && record->num_tensors <= keys_left_) {
      status = Read(*std::move(record), visited);
    }
    if (absl::IsNotFound(status)) {
      visited.deleted = true;
    } else if (!status.ok()) {
      return status;
    }
    return &visited;
  }

  std::vector<LineageCheckpoint> Take() && {
    std::vector<LineageCheckpoint> checkpoints;
    checkpoints.reserve(visited_.size());
    for (const std::unique_ptr<Visited>& visited : visited_) {
      LineageCheckpoint& checkpoint = checkpoints.emplace_back();
      checkpoint.name = visited->name;
      checkpoint.deleted = visited->deleted;
      if (visited->ancestor == nullptr) continue;
      checkpoint.record = visited->ancestor->record();
      checkpoint.origin = visited->ancestor->origin();
    }
    return checkpoints;
  }

 private:
  Visited& Add(const CheckpointName& name) {
    positions_.emplace(name.id(), visited_.size());
    visited_.push_back(std::make_unique<Visited>());
    visited_.back()->name = name;
    return *visited_.back();
  }

  absl::Status Read(store::Checkpoint record, Visited& visited) {
    keys_left_ -= record.num_tensors;
    ASSIGN_OR_RETURN(Ancestor ancestor,
                     Ancestor::Read(context_, std::move(record)));
    visited.ancestor = std::make_unique<const Ancestor>(std::move(ancestor));
    return absl::OkStatus();
  }

  const Context& context_;
  int64_t keys_left_;
  std::vector<std::unique_ptr<Visited>> visited_;  // in order of use
  absl::flat_hash_map<std::string, size_t> positions_;
};

// Follows one tensor back, those nearest to it first.
class Tracer {
 public:
  Tracer(Ancestors& ancestors, size_t max_steps)
      : ancestors_(ancestors), max_steps_(max_steps) {}

  absl::StatusOr<TensorLineage> Trace(const CheckpointName& checkpoint,
                                      const std::string& key) {
    Position({checkpoint, key});
    for (size_t i = 0; i < lineage_.steps.size(); ++i) {
      // Steps that are beyond the limit stay as Position() made them.
      if (lineage_.steps.size() > max_steps_) break;
      RETURN_IF_ERROR(Follow(i));
    }
    return std::move(lineage_);
  }

 private:
  absl::Status Follow(size_t i) {
    LineageStep& step = lineage_.steps[i];
    ASSIGN_OR_RETURN(const Visited* const visited,
                     ancestors_.Find(step.checkpoint));
    if (visited->ancestor == nullptr) {
      if (visited->deleted) step.kind = LineageKind::kDeleted;
      return absl::OkStatus();
    }
    std::vector<AncestorTensor> sources;
    ASSIGN_OR_RETURN(LineageStep found,
                     visited->ancestor->StepOf(step.key, &sources));
    for (AncestorTensor& source : sources) {
      found.sources.push_back(Position(std::move(source)));
    }
    lineage_.steps[i] = std::move(found);
    return absl::OkStatus();
  }

  // Of the step of `tensor`, which is added where it is not there.
  int32_t Position(AncestorTensor tensor) {
    const auto [found, is_new] =
        positions_.try_emplace(std::pair(tensor.checkpoint.id(), tensor.key),
                               static_cast<int32_t>(lineage_.steps.size()));
    if (is_new) {
      LineageStep& step = lineage_.steps.emplace_back();
      step.checkpoint = std::move(tensor.checkpoint);
      step.key = std::move(tensor.key);
    }
    return found->second;
  }

  Ancestors& ancestors_;
  const size_t max_steps_;
  TensorLineage lineage_;
  absl::flat_hash_map<std::pair<std::string, std::string>, int32_t> positions_;
};

}  // namespace

absl::StatusOr<Lineage> TraceLineage(const Context& context,
                                     absl::string_view handle,
                                     const LineageOptions& options) {
  RETURN_IF_ERROR(CheckCount("keys", options.keys.size(), kMaxGlobs));
  ASSIGN_OR_RETURN(const planner::GlobSet globs,
                   planner::GlobSet::Create("keys", options.keys));
  ASSIGN_OR_RETURN(store::Checkpoint record,
                   FindCheckpoint(*context.store, "name", handle));
  Lineage lineage;
  lineage.checkpoint = record.name;
  Ancestors ancestors(context, options.limits.keys);
  ASSIGN_OR_RETURN(const Ancestor* const root,
                   ancestors.AddRoot(std::move(record)));
  const std::vector<ManifestEntry>& entries = root->manifest().entries;
  if (options.first > 0 && options.first >= entries.size()) {
    return InvalidField("page_token", "was not given for this checkpoint");
  }
  size_t steps = 0;
  for (size_t i = options.first; i < entries.size(); ++i) {
    if (!globs.empty() && !globs.Matches(entries[i].key)) continue;
    if (lineage.tensors.size() >= options.page_size ||
        steps >= options.limits.steps_per_page) {
      lineage.next = i;
      break;
    }
    ASSIGN_OR_RETURN(TensorLineage tensor,
                     Tracer(ancestors, options.limits.steps_per_tensor)
                         .Trace(lineage.checkpoint, entries[i].key));
    steps += tensor.steps.size();
    lineage.tensors.push_back(std::move(tensor));
  }
  lineage.checkpoints = std::move(ancestors).Take();
  return lineage;
}

}  // namespace warmstart::service
