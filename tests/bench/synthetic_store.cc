#include "tests/bench/synthetic_store.h"

#include <errno.h>
#include <fcntl.h>
#include <libdeflate.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/base/status_macros.h"
#include "server/model/architecture.h"
#include "server/model/digest.h"
#include "server/model/manifest.h"
#include "server/model/report.h"
#include "server/planner/plan.h"
#include "server/store/catalog.h"
#include "server/store/local/paths.h"
#include "server/store/random_id.h"
#include "server/store/sqlite/sqlite_catalog.h"
#include "server/store/sqlite/sqlite_db.h"
#include "server/store/sqlite/sqlite_known_blobs.h"
#include "server/store/store.h"

namespace warmstart::bench {
namespace {

constexpr int kLayers = SyntheticStore::kTensors / 2 - 1;
constexpr int64_t kWidth = 96;
constexpr int64_t kClasses = 4;
constexpr int64_t kAlignment = 64;
constexpr int64_t kVersion = 1;  // of every architecture

// Nothing here is to survive a power cut, so the catalog is written without a
// log and without syncs; and rows that are read or written again stay in
// memory.
constexpr char kFillSetup[] =
    "PRAGMA journal_mode = OFF;"
    "PRAGMA synchronous = OFF;"
    "PRAGMA cache_size = -1048576;";

// Of a transaction. The more there are, the less often is a page of the
// indexes by random names written.
constexpr int64_t kCheckpointsAtOnce = 100'000;

constexpr absl::Duration kBetweenCheckpoints = absl::Seconds(30);

struct Tensor {
  std::string key;
  TensorSpec spec;
};

TensorSpec Float32(std::vector<int64_t> sizes) {
  return TensorSpec::Create(DType::kFloat32,
                            Shape::Create(std::move(sizes)).value())
      .value();
}

// A body, and a head that is `head` to its keys.
std::vector<Tensor> TensorsWithHead(const std::string& head) {
  std::vector<Tensor> tensors;
  for (int i = 0; i < kLayers; ++i) {
    const std::string layer = absl::StrCat("body.layers.", i);
    tensors.push_back({layer + ".weight", Float32({kWidth, kWidth})});
    tensors.push_back({layer + ".bias", Float32({kWidth})});
  }
  tensors.push_back({head + ".weight", Float32({kClasses, kWidth})});
  tensors.push_back({head + ".bias", Float32({kClasses})});
  return tensors;
}

Architecture TargetArchitecture(const std::string& name) {
  Architecture architecture;
  architecture.name = name;
  for (const Tensor& tensor : TensorsWithHead("head")) {
    architecture.entries.push_back({.key = tensor.key,
                                    .spec = tensor.spec,
                                    .kind = EntryKind::kParameter,
                                    .initializer = NormalInit{}});
  }
  return architecture;
}

std::string ArchitectureId(int64_t number) {
  return absl::StrCat("Synthetic", number);
}

// Values that no other tensor has, most of them zero.
class TensorMaker {
 public:
  struct Made {
    store::Blob blob;
    std::string tag;  // the last bytes; those before it are zero
  };

  Made Make(int64_t num_bytes) {
    const std::string tag = NextTag();
    const int64_t num_zeros = num_bytes - static_cast<int64_t>(tag.size());
    if (static_cast<int64_t>(zeros_.size()) < num_zeros) {
      zeros_.resize(num_zeros);
    }
    Hasher hasher;
    hasher.Update(absl::string_view(zeros_).substr(0, num_zeros));
    hasher.Update(tag);
    const uint32_t crc32 = libdeflate_crc32(0, zeros_.data(), num_zeros);
    return {{hasher.Finish(), num_bytes,
             libdeflate_crc32(crc32, tag.data(), tag.size())},
            tag};
  }

 private:
  std::string NextTag() {
    ++count_;
    std::string tag(sizeof(count_), '\0');
    std::memcpy(tag.data(), &count_, sizeof(count_));
    return tag;
  }

  uint64_t count_ = 0;
  std::string zeros_;
};

absl::Status ErrnoOf(const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot write '", path, "'"));
}

// A sparse pack: the tags of blobs, and zeros.
absl::Status WritePack(const std::string& path, const store::NewPack& pack,
                       const std::vector<std::string>& tags) {
  const int fd =
      ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoOf(path);
  const absl::Cleanup close = [fd] { ::close(fd); };
  if (::ftruncate(fd, pack.num_bytes) != 0) return ErrnoOf(path);
  for (size_t i = 0; i < tags.size(); ++i) {
    const store::PlacedBlob& placed = pack.blobs[i];
    const int64_t size = static_cast<int64_t>(tags[i].size());
    const int64_t offset = placed.offset + placed.blob.num_bytes - size;
    if (::pwrite(fd, tags[i].data(), size, offset) != size) {
      return ErrnoOf(path);
    }
  }
  return absl::OkStatus();
}

class Filler {
 public:
  Filler(const SyntheticStore& plan, store::SqliteDb& db)
      : plan_(plan),
        db_(db),
        paths_(plan.data_dir),
        uploaded_(TensorsWithHead("pretrained_head")),
        warm_started_(TensorsWithHead("head")),
        start_time_(absl::Now() - plan.num_checkpoints * kBetweenCheckpoints) {}

  absl::Status Fill(absl::FunctionRef<void(int64_t)> on_progress) {
    for (int64_t done = 0; done < plan_.num_checkpoints;) {
      store::SqliteTransaction transaction(db_);
      RETURN_IF_ERROR(transaction.BeginWrite());
      const int64_t end =
          std::min(done + kCheckpointsAtOnce, plan_.num_checkpoints);
      for (; done < end; ++done) RETURN_IF_ERROR(AddCheckpoint(done));
      RETURN_IF_ERROR(transaction.Commit());
      on_progress(done);
    }
    return absl::OkStatus();
  }

 private:
  absl::Status AddCheckpoint(int64_t i) {
    return i % SyntheticStore::kFamily == 0 ? AddUpload(i) : AddWarmStart(i);
  }

  absl::Status AddUpload(int64_t i) {
    store::NewCheckpoint checkpoint = Described(i);
    store::NewBlobs blobs;
    store::NewPack& pack = blobs.packs.emplace_back();
    pack.id = store::RandomId();
    std::vector<std::string> tags;
    for (const Tensor& tensor : uploaded_) {
      TensorMaker::Made made = maker_.Make(tensor.spec.num_bytes());
      pack.blobs.push_back({made.blob, pack.num_bytes});
      pack.num_bytes +=
          (made.blob.num_bytes + kAlignment - 1) / kAlignment * kAlignment;
      tags.push_back(std::move(made.tag));
      checkpoint.manifest.entries.push_back(
          {tensor.key, tensor.spec, made.blob.digest, std::nullopt});
    }
    checkpoint.origin_json = R"({"kind":"upload","files":["model.pt"],)"
                             R"("format":"torch-zip","skipped":[]})";
    RETURN_IF_ERROR(WritePack(paths_.Pack(pack.id), pack, tags));
    source_ = checkpoint.manifest;
    source_name_ = CheckpointName::Random();
    return Commit(source_name_, i, checkpoint, blobs);
  }

  absl::Status AddWarmStart(int64_t i) {
    store::NewCheckpoint checkpoint = Described(i);
    const int64_t architecture = i % SyntheticStore::kArchitectures;
    checkpoint.architecture =
        ArchitectureName::Parse(ArchitectureId(architecture))
            .value()
            .WithVersion(kVersion);
    store::NewBlobs blobs;
    std::vector<std::string> bytes;
    bytes.reserve(2);  // they are viewed
    for (size_t t = 0; t < warm_started_.size(); ++t) {
      const Tensor& tensor = warm_started_[t];
      Digest digest = source_.entries[t].digest;
      if (t >= 2 * kLayers) {
        TensorMaker::Made made = maker_.Make(tensor.spec.num_bytes());
        bytes.push_back(
            std::string(made.blob.num_bytes - made.tag.size(), '\0') +
            made.tag);
        blobs.small.push_back({made.blob, bytes.back()});
        digest = made.blob.digest;
      }
      checkpoint.manifest.entries.push_back(
          {tensor.key, tensor.spec, digest, std::nullopt});
    }
    checkpoint.origin_json = absl::StrCat(
        R"({"kind":"warm_start","sources":[")", source_name_.ToString(),
        R"("],"seed":)", i, R"(,"device":"cpu"})");
    ASSIGN_OR_RETURN(checkpoint.report_json, ReportOf(architecture));
    return Commit(CheckpointName::Random(), i, checkpoint, blobs);
  }

  // What does not depend on its tensors.
  store::NewCheckpoint Described(int64_t i) {
    const int64_t family = i / SyntheticStore::kFamily;
    const bool is_last =
        i % SyntheticStore::kFamily == SyntheticStore::kFamily - 1;
    store::NewCheckpoint checkpoint;
    checkpoint.labels = {
        {"run", absl::StrCat("run-", i)},
        {"stage", is_last ? "prod" : "dev"},
        {"team", absl::StrCat("team-", family % SyntheticStore::kTeams)}};
    if (is_last) {
      checkpoint.alias =
          AliasName::Parse(absl::StrCat("aliases/models/", i / 1000, "/", i))
              .value();
    }
    checkpoint.request_id = store::RandomId();
    checkpoint.request_fingerprint = Digest::Of(checkpoint.request_id);
    return checkpoint;
  }

  // As the planner writes it. It says nothing of the source but its keys, so
  // that those of all families are the same.
  absl::StatusOr<std::string> ReportOf(int64_t architecture) {
    std::string& report = reports_[architecture];
    if (!report.empty()) return report;
    Architecture target = TargetArchitecture(ArchitectureId(architecture));
    target.version = kVersion;
    planner::PlanRequest request;
    request.target = &target;
    request.sources = {{&source_, source_name_.ToString(), ""}};
    ASSIGN_OR_RETURN(const planner::Plan plan, planner::MakePlan(request));
    report = MatchReportToJson(plan.report);
    return report;
  }

  absl::Status Commit(const CheckpointName& name, int64_t i,
                      const store::NewCheckpoint& checkpoint,
                      const store::NewBlobs& blobs) {
    return store::CommitRows(db_, name, start_time_ + i * kBetweenCheckpoints,
                             checkpoint, blobs, known_)
        .status();
  }

  const SyntheticStore& plan_;
  store::SqliteDb& db_;
  const store::StorePaths paths_;
  const std::vector<Tensor> uploaded_;
  const std::vector<Tensor> warm_started_;
  const absl::Time start_time_;
  store::SqliteKnownBlobs known_;
  TensorMaker maker_;
  // By architecture; "" where it was not needed yet.
  std::vector<std::string> reports_ =
      std::vector<std::string>(SyntheticStore::kArchitectures);
  // Of the family.
  Manifest source_;
  CheckpointName source_name_;
};

// Makes the folder, and a store in it that knows the architectures.
absl::Status MakeEmptyStore(const SyntheticStore& plan) {
  ASSIGN_OR_RETURN(const std::unique_ptr<store::Store> store,
                   store::Store::Open({.data_dir = plan.data_dir}));
  ASSIGN_OR_RETURN(const store::CheckpointPage page,
                   store->ListCheckpoints({}));
  if (!page.checkpoints.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("'", plan.data_dir, "' holds checkpoints already"));
  }
  for (int i = 0; i < SyntheticStore::kArchitectures; ++i) {
    RETURN_IF_ERROR(
        store->PutArchitecture(TargetArchitecture(ArchitectureId(i))).status());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MakeSyntheticStore(const SyntheticStore& plan,
                                absl::FunctionRef<void(int64_t)> on_progress) {
  RETURN_IF_ERROR(MakeEmptyStore(plan));
  const std::string catalog = store::StorePaths(plan.data_dir).Catalog();
  ASSIGN_OR_RETURN(const std::unique_ptr<store::SqliteDb> db,
                   store::SqliteDb::Open(catalog));
  RETURN_IF_ERROR(db->RunScript(kFillSetup));
  return Filler(plan, *db).Fill(on_progress);
}

}  // namespace warmstart::bench
