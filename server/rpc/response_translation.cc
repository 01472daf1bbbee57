#include "server/rpc/response_translation.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/rpc/metadata_translation.h"

namespace warmstart::rpc {
namespace {

template <typename Strings>
void ToProto(const Strings& strings,
             google::protobuf::RepeatedPtrField<std::string>* proto) {
  proto->Assign(strings.begin(), strings.end());
}

struct OriginToProto {
  v1::Origin* proto;

  void operator()(const service::UploadOrigin& origin) const {
    ToProto(origin.files, proto->mutable_upload()->mutable_files());
    proto->mutable_upload()->set_format(origin.format);
    if (!origin.delta.has_value()) return;
    v1::Origin::Delta* delta = proto->mutable_upload()->mutable_delta();
    delta->set_tensor_count(origin.delta->num_tensors);
    delta->set_size_bytes(origin.delta->num_bytes);
  }
  void operator()(const service::InitializationOrigin& origin) const {
    proto->mutable_initialization()->set_seed(origin.seed);
    proto->mutable_initialization()->set_device(origin.device);
  }
  void operator()(const service::WarmStartOrigin& origin) const {
    for (const CheckpointName& source : origin.sources) {
      proto->mutable_warm_start()->add_sources(source.ToString());
    }
    proto->mutable_warm_start()->set_seed(origin.seed);
    proto->mutable_warm_start()->set_device(origin.device);
  }
};

void ToProto(const Coverage& coverage, v1::Coverage* proto) {
  proto->set_keys_loaded(coverage.keys_loaded);
  proto->set_keys_total(coverage.keys_total);
  proto->set_key_fraction(coverage.KeyFraction());
  proto->set_parameters_loaded(coverage.parameters_loaded);
  proto->set_parameters_total(coverage.parameters_total);
  proto->set_parameter_fraction(coverage.ParameterFraction());
  proto->set_bytes_loaded(coverage.bytes_loaded);
  proto->set_bytes_total(coverage.bytes_total);
  proto->set_byte_fraction(coverage.ByteFraction());
}

v1::SourceOutcome ToProto(SourceOutcome outcome) {
  switch (outcome) {
    case SourceOutcome::kUsed:
      return v1::SOURCE_OUTCOME_USED;
    case SourceOutcome::kUnexpected:
      return v1::SOURCE_OUTCOME_UNEXPECTED;
    case SourceOutcome::kExcluded:
      return v1::SOURCE_OUTCOME_EXCLUDED;
    case SourceOutcome::kShadowed:
      return v1::SOURCE_OUTCOME_SHADOWED;
    case SourceOutcome::kMismatched:
      return v1::SOURCE_OUTCOME_MISMATCHED;
  }
  return v1::SOURCE_OUTCOME_UNSPECIFIED;
}

v1::DiffKind ToProto(KeyChange change) {
  switch (change) {
    case KeyChange::kChanged:
      return v1::DIFF_KIND_CHANGED;
    case KeyChange::kMoved:
      return v1::DIFF_KIND_MOVED;
    case KeyChange::kAdded:
      return v1::DIFF_KIND_ADDED;
    case KeyChange::kRemoved:
      return v1::DIFF_KIND_REMOVED;
    case KeyChange::kEqual:
      break;
  }
  return v1::DIFF_KIND_UNSPECIFIED;
}

void ToProto(const DiffTotal& total, v1::DiffTotals* proto) {
  proto->set_keys(total.keys);
  proto->set_parameters(total.parameters);
  proto->set_bytes(total.bytes);
}

void ToProto(const TargetReport& entry, v1::TargetEntry* proto) {
  proto->set_key(entry.key);
  proto->set_outcome(rpc::ToProto(entry.outcome));
  proto->set_buffer(entry.kind == EntryKind::kBuffer);
  proto->set_dtype(std::string(DTypeName(entry.spec.dtype())));
  rpc::ToProto(entry.spec.shape(), proto->mutable_shape());
  if (entry.source >= 0) proto->set_source(entry.source);
  proto->set_source_key(entry.source_key);
  if (entry.source_spec.has_value()) {
    proto->set_source_dtype(std::string(DTypeName(entry.source_spec->dtype())));
    rpc::ToProto(entry.source_spec->shape(), proto->mutable_source_shape());
  }
  ToProto(entry.rules, proto->mutable_rules());
  proto->set_initializer(entry.initializer);
  for (const SourceTensorName& name : entry.more_sources) {
    v1::SourceTensor* source = proto->add_more_sources();
    source->set_source(name.source);
    source->set_key(name.key);
  }
  proto->set_derivation(entry.derivation);
  proto->set_adaptation(entry.adaptation);
  proto->set_tied_to(entry.tied_to);
  proto->set_overflow_count(entry.counts.overflowed);
  proto->set_underflow_count(entry.counts.underflowed);
}

}  // namespace

void ToProto(absl::Time time, google::protobuf::Timestamp* proto) {
  const int64_t nanos = absl::ToUnixNanos(time);
  proto->set_seconds(nanos / 1'000'000'000);
  proto->set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
}

std::string ArchitectureResource(const std::string& name) {
  return name.empty() ? "" : absl::StrCat("architectures/", name);
}

void ToProto(const Shape& shape,
             google::protobuf::RepeatedField<int64_t>* proto) {
  proto->Assign(shape.sizes().begin(), shape.sizes().end());
}

v1::TargetOutcome ToProto(TargetOutcome outcome) {
  switch (outcome) {
    case TargetOutcome::kMatched:
      return v1::TARGET_OUTCOME_MATCHED;
    case TargetOutcome::kRenamed:
      return v1::TARGET_OUTCOME_RENAMED;
    case TargetOutcome::kAdapted:
      return v1::TARGET_OUTCOME_ADAPTED;
    case TargetOutcome::kAveraged:
      return v1::TARGET_OUTCOME_AVERAGED;
    case TargetOutcome::kCast:
      return v1::TARGET_OUTCOME_CAST;
    case TargetOutcome::kKept:
      return v1::TARGET_OUTCOME_KEPT;
    case TargetOutcome::kInitialized:
      return v1::TARGET_OUTCOME_INITIALIZED;
  }
  return v1::TARGET_OUTCOME_UNSPECIFIED;
}

void ToProto(const service::Origin& origin, v1::Origin* proto) {
  std::visit(OriginToProto{proto}, origin);
}

absl::Status ToProto(const store::Checkpoint& checkpoint,
                     v1::Checkpoint* proto) {
  proto->set_name(checkpoint.name.ToString());
  if (checkpoint.architecture.has_value()) {
    proto->set_architecture(checkpoint.architecture->ToString());
  }
  ToProto(checkpoint.create_time, proto->mutable_create_time());
  proto->mutable_labels()->insert(checkpoint.labels.begin(),
                                  checkpoint.labels.end());
  for (const AliasName& alias : checkpoint.aliases) {
    proto->add_aliases(alias.ToString());
  }
  proto->set_tensor_count(checkpoint.num_tensors);
  proto->set_size_bytes(checkpoint.num_bytes);
  if (checkpoint.expire_time.has_value()) {
    ToProto(*checkpoint.expire_time, proto->mutable_expire_time());
  }
  ASSIGN_OR_RETURN(const service::Origin origin,
                   service::OriginFromJson(checkpoint.origin_json));
  ToProto(origin, proto->mutable_origin());
  return absl::OkStatus();
}

absl::Status AddFullView(const store::Checkpoint& checkpoint,
                         const Manifest& manifest, v1::Checkpoint* proto) {
  if (!checkpoint.report_json.empty()) {
    ASSIGN_OR_RETURN(const MatchReport report,
                     MatchReportFromJson(checkpoint.report_json));
    ToProto(report, proto->mutable_report());
  }
  if (manifest.metadata_json.empty()) return absl::OkStatus();
  return MetadataToProto(manifest.metadata_json, proto->mutable_metadata());
}

void ToProto(const MatchReport& report, v1::MatchReport* proto) {
  proto->set_architecture(ArchitectureResource(report.architecture));
  proto->set_summary(report.summary);
  ToProto(report.missing_keys, proto->mutable_missing_keys());
  ToProto(report.unexpected_keys, proto->mutable_unexpected_keys());
  for (const ShapeMismatch& mismatch : report.mismatched_keys) {
    v1::MismatchedKey* key = proto->add_mismatched_keys();
    key->set_key(mismatch.key);
    key->set_source_key(mismatch.source_key);
    ToProto(mismatch.source_shape, key->mutable_source_shape());
    ToProto(mismatch.target_shape, key->mutable_target_shape());
  }
  ToProto(report.coverage, proto->mutable_coverage());
  for (const TargetReport& entry : report.entries) {
    ToProto(entry, proto->add_entries());
  }
  for (const SourceReport& entry : report.source_entries) {
    v1::SourceEntry* source = proto->add_source_entries();
    source->set_source(entry.source);
    source->set_key(entry.key);
    source->set_outcome(ToProto(entry.outcome));
    source->set_dtype(std::string(DTypeName(entry.spec.dtype())));
    ToProto(entry.spec.shape(), source->mutable_shape());
  }
  for (const RuleUse& use : report.rules) {
    v1::RuleUse* rule = proto->add_rules();
    rule->set_rule(use.rule);
    rule->set_keys(use.keys);
    rule->set_automatic(use.automatic);
  }
  for (const RuleSuggestion& suggestion : report.suggestions) {
    v1::RuleSuggestion* rule = proto->add_suggestions();
    rule->set_rule(suggestion.rule);
    rule->set_keys(suggestion.keys);
    rule->set_parameters(suggestion.parameters);
  }
  ToProto(report.subtrees, proto->mutable_subtrees());
  ToProto(report.notes, proto->mutable_notes());
}

void ToProto(const ManifestDiff& diff, v1::DiffCheckpointsResponse* proto) {
  for (const KeyDiff& key : diff.keys) {
    if (key.change == KeyChange::kEqual) continue;
    v1::DiffEntry* entry = proto->add_entries();
    entry->set_key(key.key);
    entry->set_kind(ToProto(key.change));
    entry->set_base_key(key.from);
    if (key.spec_a.has_value()) {
      entry->set_base_dtype(std::string(DTypeName(key.spec_a->dtype())));
      ToProto(key.spec_a->shape(), entry->mutable_base_shape());
    }
    if (key.spec_b.has_value()) {
      entry->set_other_dtype(std::string(DTypeName(key.spec_b->dtype())));
      ToProto(key.spec_b->shape(), entry->mutable_other_shape());
    }
  }
  ToProto(diff.total(KeyChange::kEqual), proto->mutable_equal());
  ToProto(diff.total(KeyChange::kChanged), proto->mutable_changed());
  ToProto(diff.total(KeyChange::kAdded), proto->mutable_added());
  ToProto(diff.total(KeyChange::kRemoved), proto->mutable_removed());
  ToProto(diff.total(KeyChange::kMoved), proto->mutable_moved());
}

void ToProto(const store::Alias& alias, v1::Alias* proto) {
  proto->set_name(alias.name.ToString());
  proto->set_checkpoint(alias.checkpoint.ToString());
  ToProto(alias.update_time, proto->mutable_update_time());
}

void ToProto(const store::Upload& upload, v1::Upload* proto) {
  proto->set_name(upload.name.ToString());
  for (const store::UploadFile& file : upload.files) {
    v1::UploadFile* file_proto = proto->add_files();
    file_proto->set_name(file.name);
    file_proto->set_size(file.num_bytes);
    file_proto->set_committed_bytes(file.committed_bytes);
    if (file.digest.has_value()) {
      file_proto->set_committed_sha256(std::string(file.digest->bytes()));
    }
  }
  ToProto(upload.create_time, proto->mutable_create_time());
  ToProto(upload.expire_time, proto->mutable_expire_time());
}

}  // namespace warmstart::rpc
