#include "server/service/lineage/ancestor.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/model/initializer.h"

namespace warmstart::service {
namespace {

bool IsStored(absl::string_view initializer) {
  return initializer == InitializerName(StoredInit());
}

bool AnyStored(const std::vector<TargetReport>& report) {
  return std::any_of(
      report.begin(), report.end(),
      [](const TargetReport& entry) { return IsStored(entry.initializer); });
}

void AddOnce(AncestorTensor tensor, std::vector<AncestorTensor>* tensors) {
  for (const AncestorTensor& known : *tensors) {
    if (known.checkpoint == tensor.checkpoint && known.key == tensor.key) {
      return;
    }
  }
  tensors->push_back(std::move(tensor));
}

absl::Status Contradiction(const store::Checkpoint& record,
                           absl::string_view problem) {
  return absl::DataLossError(absl::StrCat("the catalog's record of ",
                                          record.name.ToString(),
                                          " contradicts itself: ", problem));
}

// The architecture as it was; null where it is no longer there, or not what it
// was: then its initializers are not known.
ModelPtr FindModel(const Context& context, const store::Checkpoint& record) {
  if (!record.architecture.has_value()) return nullptr;
  absl::StatusOr<ModelPtr> model =
      context.architectures->Find(record.architecture->ToString());
  return model.ok() ? *std::move(model) : nullptr;
}

}  // namespace

absl::StatusOr<Ancestor> Ancestor::Read(const Context& context,
                                        store::Checkpoint record) {
  Ancestor ancestor;
  ASSIGN_OR_RETURN(ancestor.origin_, OriginFromJson(record.origin_json));
  ASSIGN_OR_RETURN(ancestor.manifest_, context.store->GetManifest(record.name));
  const std::vector<ManifestEntry>& entries = ancestor.manifest_->entries;
  ancestor.index_.reserve(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    ancestor.index_.emplace(entries[i].key, i);
  }
  bool needs_model =
      std::holds_alternative<InitializationOrigin>(ancestor.origin_);
  if (const auto* start = std::get_if<WarmStartOrigin>(&ancestor.origin_)) {
    ASSIGN_OR_RETURN(MatchReport report,
                     MatchReportFromJson(record.report_json));
    ancestor.report_ = std::move(report.entries);
    needs_model = AnyStored(ancestor.report_);
    if (ancestor.report_.size() != entries.size()) {
      return Contradiction(record, "its report is of other keys");
    }
    for (const TargetReport& entry : ancestor.report_) {
      if (entry.source >= static_cast<int64_t>(start->sources.size())) {
        return Contradiction(record, "its report is of other sources");
      }
    }
  }
  if (needs_model) ancestor.model_ = FindModel(context, record);
  record.report_json.clear();
  ancestor.record_ = std::move(record);
  return ancestor;
}

absl::StatusOr<LineageStep> Ancestor::StepOf(
    absl::string_view key, std::vector<AncestorTensor>* sources) const {
  const auto found = index_.find(key);
  if (found == index_.end()) {
    return Contradiction(
        record_, absl::StrCat("it has no '", key,
                              "', of which another checkpoint is made"));
  }
  LineageStep step;
  step.checkpoint = record_.name;
  step.key = std::string(key);
  step.spec = manifest_->entries[found->second].spec;
  std::visit(
      [&](const auto& origin) {
        Describe(origin, found->second, &step, sources);
      },
      origin_);
  return step;
}

void Ancestor::Describe(const UploadOrigin&, size_t, LineageStep* step,
                        std::vector<AncestorTensor>*) const {
  step->kind = LineageKind::kUploaded;
}

void Ancestor::Describe(const InitializationOrigin& origin, size_t position,
                        LineageStep* step,
                        std::vector<AncestorTensor>* sources) const {
  step->kind = LineageKind::kInitialized;
  if (std::optional<AncestorTensor> stored = InitialValueOf(position)) {
    sources->push_back(*std::move(stored));
  } else {
    step->seed = origin.seed;
  }
  if (const ArchitectureEntry* const entry = SchemaEntry(position)) {
    step->initializer = std::string(InitializerName(entry->initializer));
    step->tied_to = model_->schema().entries[position].tied_to;
  }
}

void Ancestor::Describe(const WarmStartOrigin& origin, size_t position,
                        LineageStep* step,
                        std::vector<AncestorTensor>* sources) const {
  const TargetReport& entry = report_[position];
  step->kind = entry.outcome == TargetOutcome::kInitialized
                   ? LineageKind::kInitialized
                   : LineageKind::kLoaded;
  step->outcome = entry.outcome;
  step->rules = entry.rules;
  step->derivation = entry.derivation;
  step->adaptation = entry.adaptation;
  step->initializer = entry.initializer;
  step->tied_to = entry.tied_to;
  if (entry.source >= 0) {
    sources->push_back({origin.sources[entry.source], entry.source_key});
  }
  for (const SourceTensorName& more : entry.more_sources) {
    AddOnce({origin.sources[more.source], more.key}, sources);
  }
  if (entry.initializer.empty()) return;
  if (!IsStored(entry.initializer)) {
    step->seed = origin.seed;
  } else if (std::optional<AncestorTensor> stored = InitialValueOf(position)) {
    AddOnce(*std::move(stored), sources);
  }
}

// The entry whose initializer makes fresh values at `position`: where it is
// tied, that of the entry to which it is.
const ArchitectureEntry* Ancestor::SchemaEntry(size_t position) const {
  if (model_ == nullptr) return nullptr;
  const std::vector<ArchitectureEntry>& entries = model_->schema().entries;
  if (position >= entries.size()) return nullptr;
  const auto tied = index_.find(entries[position].tied_to);
  return &entries[tied == index_.end() ? position : tied->second];
}

std::optional<AncestorTensor> Ancestor::InitialValueOf(size_t position) const {
  const ArchitectureEntry* const entry = SchemaEntry(position);
  if (entry == nullptr) return std::nullopt;
  const auto* const stored = std::get_if<StoredInit>(&entry->initializer);
  const std::optional<CheckpointName>& keeper = model_->schema().initial_values;
  if (stored == nullptr || !keeper.has_value()) return std::nullopt;
  return AncestorTensor{*keeper, stored->key};
}

}  // namespace warmstart::service
