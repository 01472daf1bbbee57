#include "server/service/save_model.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/format/manifest_reader.h"
#include "server/format/reader.h"
#include "server/planner/plan.h"
#include "server/service/delta/manifest_blobs.h"
#include "server/service/disk_status.h"
#include "server/service/fresh_tensors.h"
#include "server/service/ingest.h"
#include "server/service/stored_result.h"

namespace warmstart::service {
namespace {

// Some times what the largest published models have.
constexpr size_t kMaxManifestItems = size_t{1} << 20;

Digest FingerprintOf(const SaveModelRequest& request) {
  return Fingerprint()
      .Add("SaveModel")
      .Add(request.architecture)
      .Add(request.seed.has_value() ? absl::StrCat(*request.seed) : "")
      .Add(request.device)
      .Add(request.options.labels)
      .Add(request.options.alias)
      .Add(request.options.expiration)
      .Finish();
}

template <typename Item>
void AppendTo(std::vector<Item> more, std::vector<Item>& items) {
  items.insert(items.end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
}

size_t NumItems(const Manifest& manifest) {
  return manifest.entries.size() + manifest.storages.size() +
         manifest.subtrees.size() + manifest.module_versions.size();
}

// How the uploaded tensors match the architecture that the header names. The
// report is for information: no policy can fail here.
absl::StatusOr<MatchReport> Match(const Manifest& manifest,
                                  const Architecture& architecture) {
  planner::PlanRequest request;
  request.target = &architecture;
  request.sources.push_back({&manifest, "the upload", ""});
  ASSIGN_OR_RETURN(planner::Plan plan, planner::MakePlan(request));
  return std::move(plan.report);
}

}  // namespace

SaveModel::SaveModel(const Context& context, SaveModelRequest request)
    : context_(context), request_(std::move(request)) {}

absl::StatusOr<std::unique_ptr<SaveModel>> SaveModel::Begin(
    const Context& context, SaveModelRequest request) {
  auto save =
      std::unique_ptr<SaveModel>(new SaveModel(context, std::move(request)));
  const SaveModelRequest& checked = save->request_;
  ASSIGN_OR_RETURN(save->alias_, CheckOptions(checked.options));
  save->fingerprint_ = FingerprintOf(checked);
  ASSIGN_OR_RETURN(std::optional<store::Checkpoint> earlier,
                   FindEarlier(*context.store, checked.options.request_id,
                               save->fingerprint_));
  if (earlier.has_value()) {
    ASSIGN_OR_RETURN(save->earlier_, StoredSaveResult(*std::move(earlier)));
    return save;
  }
  RETURN_IF_ERROR(
      CheckExpiration(checked.options.expiration, context.clock->Now()));
  if (!checked.architecture.empty()) {
    ASSIGN_OR_RETURN(save->model_,
                     context.architectures->Find(checked.architecture));
  }
  save->draft_ = context.store->NewDraft();
  if (!checked.upload.empty()) RETURN_IF_ERROR(save->AdoptUpload());
  return save;
}

absl::Status SaveModel::AdoptUpload() {
  ASSIGN_OR_RETURN(const store::UploadName name,
                   ParseUploadName("upload", request_.upload));
  ASSIGN_OR_RETURN(const std::vector<store::AdoptedFile> adopted,
                   draft_->AdoptUpload(name));
  for (const store::AdoptedFile& file : adopted) {
    files_.push_back({.name = file.name, .staged = file.file});
  }
  return absl::OkStatus();
}

absl::Status SaveModel::AddManifest(Manifest part) {
  if (earlier_.has_value()) return absl::OkStatus();
  if (!files_.empty() && request_.upload.empty()) {
    return InvalidField("manifest", "comes after a file; send it before");
  }
  if (!manifest_.has_value()) manifest_.emplace();
  AppendTo(std::move(part.entries), manifest_->entries);
  AppendTo(std::move(part.storages), manifest_->storages);
  AppendTo(std::move(part.subtrees), manifest_->subtrees);
  AppendTo(std::move(part.module_versions), manifest_->module_versions);
  manifest_->metadata_json += part.metadata_json;
  if (NumItems(*manifest_) > kMaxManifestItems) {
    return InvalidField("manifest", absl::StrCat("has more than ",
                                                 kMaxManifestItems, " items"));
  }
  return absl::OkStatus();
}

absl::Status SaveModel::BeginFile(std::string name,
                                  std::optional<int64_t> size) {
  if (earlier_.has_value()) return absl::OkStatus();
  if (!request_.upload.empty()) {
    return InvalidField("file",
                        "is sent, but the header names an upload, which "
                        "brings the files; send one or the other");
  }
  RETURN_IF_ERROR(EndFile());
  RETURN_IF_ERROR(CheckFile("file", files_.size(), name, size));
  ASSIGN_OR_RETURN(store::StagedFile * staged,
                   DiskStatus(draft_->NewFile(size.value_or(0))));
  files_.push_back({std::move(name), size, 0, staged});
  return absl::OkStatus();
}

absl::Status SaveModel::Append(absl::string_view bytes) {
  if (earlier_.has_value()) return absl::OkStatus();
  if (files_.empty() || !request_.upload.empty()) {
    return InvalidField("chunk", "comes before any file; send `file` first");
  }
  File& file = files_.back();
  file.received += static_cast<int64_t>(bytes.size());
  if (file.size.has_value() && file.received > *file.size) {
    return InvalidField(
        "chunk", absl::StrCat("file '", file.name, "' has more than the ",
                              *file.size, " bytes it announced"));
  }
  return DiskStatus(file.staged->Append(bytes));
}

// The last file is whole.
absl::Status SaveModel::EndFile() {
  if (files_.empty()) return absl::OkStatus();
  const File& file = files_.back();
  if (file.size.has_value() && file.received != *file.size) {
    return InvalidField("chunk",
                        absl::StrCat("file '", file.name, "' ended after ",
                                     file.received, " of the ", *file.size,
                                     " bytes it announced; send it again"));
  }
  return absl::OkStatus();
}

absl::StatusOr<SaveModelResult> SaveModel::Finish() {
  if (earlier_.has_value()) return *earlier_;
  if (manifest_.has_value()) return StoreManifest();
  if (!files_.empty()) return StoreFiles();
  if (model_ == nullptr) {
    return InvalidField("architecture",
                        "is required where no file is sent; a header alone "
                        "asks for a fresh model of an architecture");
  }
  return StoreFresh();
}

absl::StatusOr<SaveModel::Received> SaveModel::ReadReceived() {
  RETURN_IF_ERROR(EndFile());
  Received received;
  for (const File& file : files_) {
    ASSIGN_OR_RETURN(absl::string_view bytes,
                     DiskStatus(file.staged->Finish()));
    received.views.push_back({file.name, bytes});
    received.staged.push_back(file.staged);
  }
  if (files_.empty()) return received;
  draft_->StartSync();
  absl::StatusOr<format::FileContents> contents =
      format::ReadFiles(received.views);
  if (!contents.ok()) {
    return WithErrorInfo(contents.status(), reason::kInvalidFile);
  }
  received.contents = *std::move(contents);
  return received;
}

absl::StatusOr<SaveModelResult> SaveModel::StoreFiles() {
  ASSIGN_OR_RETURN(Received received, ReadReceived());
  ASSIGN_OR_RETURN(Manifest manifest, Ingest(received.contents, received.views,
                                             received.staged, *draft_));
  return CommitUpload(std::move(manifest), std::move(received.contents),
                      std::nullopt);
}

absl::StatusOr<SaveModelResult> SaveModel::StoreManifest() {
  absl::StatusOr<format::FileContents> described =
      format::ReadManifest(*manifest_);
  if (!described.ok()) {
    return InvalidField("manifest", described.status().message());
  }
  ASSIGN_OR_RETURN(Received received, ReadReceived());
  ASSIGN_OR_RETURN(
      const std::vector<IngestedBlob> brought,
      IngestBlobs(received.contents, received.views, received.staged, *draft_));
  RETURN_IF_ERROR(
      CompleteDraft(*manifest_, *described, brought, *context_.store, *draft_));
  DeltaOrigin delta;
  for (const IngestedBlob& blob : brought) {
    ++delta.num_tensors;
    delta.num_bytes += blob.blob.num_bytes;
  }
  manifest_->metadata_json = std::move(described->metadata_json);
  // What the files hold besides tensors is none of the checkpoint.
  described->format = std::move(received.contents.format);
  return CommitUpload(*std::move(manifest_), *std::move(described), delta);
}

absl::StatusOr<SaveModelResult> SaveModel::CommitUpload(
    Manifest manifest, format::FileContents contents,
    std::optional<DeltaOrigin> delta) {
  SaveModelResult result;
  std::string report_json;
  if (model_ != nullptr) {
    ASSIGN_OR_RETURN(result.report, Match(manifest, model_->schema()));
    report_json = MatchReportToJson(*result.report);
  }
  UploadOrigin origin;
  for (const File& file : files_) origin.files.push_back(file.name);
  origin.format = contents.format;
  origin.skipped = contents.skipped;
  origin.delta = delta;
  ASSIGN_OR_RETURN(
      result.checkpoint,
      Commit(std::move(manifest), OriginToJson(origin), report_json));
  result.skipped = std::move(contents.skipped);
  return result;
}

absl::StatusOr<SaveModelResult> SaveModel::StoreFresh() {
  ASSIGN_OR_RETURN(
      const backend::Device device,
      ResolveRequestDevice(request_.device, context_.default_device));
  const std::vector<planner::Assignment> fresh =
      FreshAssignments(model_->schema());
  ModelLoad load;
  load.model = model_.get();
  load.device = device;
  load.seed = SeedOrRandom(request_.seed);
  load.assignments = fresh;
  ASSIGN_OR_RETURN(LoadedModel loaded,
                   LoadModel(load, *context_.store, *draft_));
  SaveModelResult result;
  ASSIGN_OR_RETURN(
      result.checkpoint,
      Commit(std::move(loaded.manifest),
             OriginToJson(InitializationOrigin{load.seed, device.ToString()}),
             ""));
  return result;
}

absl::StatusOr<store::Checkpoint> SaveModel::Commit(
    Manifest manifest, const std::string& origin_json,
    const std::string& report_json) {
  store::NewCheckpoint checkpoint;
  if (model_ != nullptr) {
    ASSIGN_OR_RETURN(checkpoint.architecture,
                     ArchitectureName::Parse(VersionedName(model_->schema())));
  }
  checkpoint.manifest = std::move(manifest);
  checkpoint.labels = request_.options.labels;
  checkpoint.report_json = report_json;
  checkpoint.origin_json = origin_json;
  checkpoint.alias = alias_;
  checkpoint.request_id = request_.options.request_id;
  checkpoint.request_fingerprint = fingerprint_;
  checkpoint.expiration = request_.options.expiration;
  return DiskStatus(draft_->Commit(checkpoint));
}

}  // namespace warmstart::service
