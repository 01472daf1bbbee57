#include "tests/store/model/account.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "server/base/status_macros.h"
#include "tests/store/store_test_util.h"

namespace warmstart::store {
namespace {

// So few that much of what is saved is new, and becomes packs.
constexpr size_t kMaxCheckpoints = 10;
constexpr size_t kMaxHeld = 8;
constexpr int kNumAliases = 6;

std::string KeyOf(size_t position) { return absl::StrCat("t", position); }

absl::Status Differs(const std::string& what) {
  return absl::DataLossError(absl::StrCat("the store differs: ", what));
}

// An error of the store's that the account does not expect.
absl::Status Unexpected(const char* operation, const absl::Status& status) {
  if (status.ok()) return status;
  return Differs(absl::StrCat(operation, " failed: ", status.ToString()));
}

int64_t Align(int64_t offset) { return (offset + 63) / 64 * 64; }

}  // namespace

absl::Status Account::Step(Store& store) {
  if (checkpoints_.empty()) return Save(store);
  if (checkpoints_.size() > kMaxCheckpoints) return Delete(store);
  const uint32_t choice = random_() % 100;
  if (choice < 20) return Save(store);
  if (choice < 35) return Derive(store);
  if (choice < 60) return Delete(store);
  if (choice < 65) return Name(store);
  if (choice < 68) return Unname(store);
  if (choice < 92) return Read(store);
  return Hold(store);
}

absl::Status Account::Check(Store& store) {
  for (const auto& [name, tensors] : checkpoints_) {
    RETURN_IF_ERROR(CheckTensors(store, name, tensors));
  }
  for (const auto& [alias, checkpoint] : aliases_) {
    const auto found = store.Resolve(alias);
    RETURN_IF_ERROR(Unexpected("Resolve", found.status()));
    if (*found != checkpoint) return Differs("an alias points elsewhere");
  }
  for (const Held& held : held_) {
    if (held.data.bytes != pool_[held.tensor].bytes) {
      return Differs("bytes that were held have changed");
    }
  }
  return absl::OkStatus();
}

bool Account::Has(size_t tensor) const {
  return std::any_of(
      checkpoints_.begin(), checkpoints_.end(), [&](const auto& checkpoint) {
        const Tensors& tensors = checkpoint.second;
        return std::find(tensors.begin(), tensors.end(), tensor) !=
               tensors.end();
      });
}

absl::Status Account::Save(Store& store) {
  const Tensors tensors = pool_.Draw(random_, 5);
  const std::unique_ptr<Draft> draft = store.NewDraft();
  RETURN_IF_ERROR(Unexpected("staging", StageFile(*draft, tensors)));
  if (random_() % 2 == 0) draft->StartSync();
  // A draft that is dropped leaves nothing.
  if (random_() % 16 == 0) return absl::OkStatus();
  return Commit(*draft, tensors);
}

// As a warm start: with some tensors of a checkpoint, and some of its own.
absl::Status Account::Derive(Store& store) {
  Tensors tensors = Any()->second;
  while (tensors.size() > 1 && random_() % 3 == 0) {
    tensors.erase(tensors.begin() + random_() % tensors.size());
  }
  const std::unique_ptr<Draft> draft = store.NewDraft();
  if (random_() % 2 == 0) {
    const Tensors fresh = pool_.Draw(random_, 3);
    RETURN_IF_ERROR(Unexpected("staging", StageScratch(*draft, fresh)));
    tensors.insert(tensors.end(), fresh.begin(), fresh.end());
  }
  return Commit(*draft, tensors);
}

absl::Status Account::Delete(Store& store) {
  const auto victim = Any();
  const CheckpointName name = victim->first;
  const bool is_named =
      std::any_of(aliases_.begin(), aliases_.end(),
                  [&](const auto& alias) { return alias.second == name; });
  const absl::Status refused = store.DeleteCheckpoint(name, /*force=*/false);
  if (is_named) {
    if (!absl::IsFailedPrecondition(refused)) {
      return Differs("a checkpoint with aliases was not refused to be deleted");
    }
    RETURN_IF_ERROR(
        Unexpected("Delete", store.DeleteCheckpoint(name, /*force=*/true)));
  } else {
    RETURN_IF_ERROR(Unexpected("Delete", refused));
  }
  checkpoints_.erase(victim);
  std::erase_if(aliases_,
                [&](const auto& alias) { return alias.second == name; });
  if (absl::IsNotFound(store.GetCheckpoint(name).status())) {
    return absl::OkStatus();
  }
  return Differs("a checkpoint that was deleted is there");
}

absl::Status Account::Name(Store& store) {
  const AliasName alias = AnyAlias();
  const CheckpointName& target = Any()->first;
  RETURN_IF_ERROR(
      Unexpected("SetAlias", store.SetAlias(alias, target).status()));
  aliases_.insert_or_assign(alias.ToString(), target);
  return absl::OkStatus();
}

absl::Status Account::Unname(Store& store) {
  const AliasName alias = AnyAlias();
  const absl::Status status = store.DeleteAlias(alias);
  if (aliases_.erase(alias.ToString()) > 0)
    return Unexpected("DeleteAlias", status);
  if (absl::IsNotFound(status)) return absl::OkStatus();
  return Differs("an alias is there that nobody set");
}

absl::Status Account::Read(Store& store) {
  const auto& [name, tensors] = *Any();
  return CheckTensors(store, name, tensors);
}

absl::Status Account::Hold(Store& store) {
  if (held_.size() == kMaxHeld) {
    if (held_[0].data.bytes != pool_[held_[0].tensor].bytes) {
      return Differs("bytes that were held have changed");
    }
    held_.erase(held_.begin());
  }
  const Tensors& tensors = Any()->second;
  const size_t tensor = tensors[random_() % tensors.size()];
  absl::StatusOr<BlobData> data = store.OpenBlob(pool_[tensor].blob.digest);
  RETURN_IF_ERROR(Unexpected("OpenBlob", data.status()));
  held_.push_back({tensor, *std::move(data)});
  return absl::OkStatus();
}

Account::Checkpoints::iterator Account::Any() {
  return std::next(checkpoints_.begin(),
                   static_cast<int>(random_() % checkpoints_.size()));
}

AliasName Account::AnyAlias() {
  return MakeAlias(absl::StrCat(name_, "/", random_() % kNumAliases));
}

Manifest Account::ManifestOf(const Tensors& tensors) const {
  Manifest manifest;
  for (size_t i = 0; i < tensors.size(); ++i) {
    ManifestEntry& entry = manifest.entries.emplace_back();
    entry = pool_[tensors[i]].entry;
    entry.key = KeyOf(i);
  }
  return manifest;
}

absl::Status Account::StageFile(Draft& draft, const Tensors& tensors) {
  ASSIGN_OR_RETURN(StagedFile* const file, draft.NewFile());
  std::map<size_t, int64_t> offsets;
  int64_t size = 0;
  for (const size_t index : tensors) {
    const PoolTensor& tensor = pool_[index];
    // Storages come before their views in the pool, and so in `tensors`.
    const auto storage = tensor.storage.has_value()
                             ? offsets.find(*tensor.storage)
                             : offsets.end();
    if (storage != offsets.end() && random_() % 4 != 0) {
      draft.AddBlob(file, storage->second + tensor.offset, tensor.blob);
      continue;
    }
    const int64_t offset = Align(size);
    RETURN_IF_ERROR(file->Append(std::string(offset - size, '\0')));
    RETURN_IF_ERROR(file->Append(tensor.bytes));
    draft.AddBlob(file, offset, tensor.blob);
    offsets[index] = offset;
    size = offset + tensor.blob.num_bytes;
  }
  return file->Finish().status();
}

absl::Status Account::StageScratch(Draft& draft, const Tensors& tensors) {
  int64_t size = 0;
  for (const size_t index : tensors) size += pool_[index].blob.num_bytes;
  ASSIGN_OR_RETURN(const absl::Span<char> space, draft.NewScratch(size));
  int64_t offset = 0;
  for (const size_t index : tensors) {
    const PoolTensor& tensor = pool_[index];
    std::copy(tensor.bytes.begin(), tensor.bytes.end(), space.begin() + offset);
    draft.AddBlob(nullptr, offset, tensor.blob);
    offset += tensor.blob.num_bytes;
  }
  return absl::OkStatus();
}

absl::Status Account::Commit(Draft& draft, const Tensors& tensors) {
  NewCheckpoint request;
  request.manifest = ManifestOf(tensors);
  if (random_() % 8 == 0) request.alias = AnyAlias();
  const absl::StatusOr<Checkpoint> saved = draft.Commit(request);
  RETURN_IF_ERROR(Unexpected("Commit", saved.status()));
  checkpoints_.insert_or_assign(saved->name, tensors);
  if (request.alias.has_value()) {
    aliases_.insert_or_assign(request.alias->ToString(), saved->name);
  }
  return absl::OkStatus();
}

absl::Status Account::CheckTensors(Store& store, const CheckpointName& name,
                                   const Tensors& tensors) {
  const auto manifest = store.GetManifest(name);
  RETURN_IF_ERROR(Unexpected("GetManifest", manifest.status()));
  if (**manifest != ManifestOf(tensors)) return Differs("another manifest");
  for (const size_t index : tensors) {
    const auto data = store.OpenBlob(pool_[index].blob.digest);
    RETURN_IF_ERROR(Unexpected("OpenBlob", data.status()));
    if (data->bytes != pool_[index].bytes) return Differs("other bytes");
  }
  return absl::OkStatus();
}

}  // namespace warmstart::store
