#include "server/format/sharded/sharded_set.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "server/base/status_macros.h"
#include "server/format/key_check.h"
#include "server/format/read_one.h"
#include "server/format/sharded/shard_index.h"

namespace warmstart::format {
namespace {

// Joins what was read from the shards, one shard at a time.
class Joiner {
 public:
  // `index` may be null; else it must live longer than this.
  Joiner(absl::Span<const FileView> files, const ShardIndex* index)
      : files_(files), index_(index) {
    if (index_ != nullptr) JoinMetadata(index_->metadata_json);
  }

  // `shard` is what files[file] holds. With an index, `number` is which of its
  // shards that is.
  absl::Status Add(int file, int number, FileContents shard) {
    RETURN_IF_ERROR(CheckFormat(file, shard.format));
    // Where the shard's storages went; -1: nothing that was read needs it.
    std::vector<int32_t> new_storage(shard.storages.size(), -1);
    for (FileTensor& tensor : shard.tensors) {
      ASSIGN_OR_RETURN(const bool is_wanted, Claim(tensor.key, file, number));
      if (!is_wanted) continue;
      int32_t& storage = new_storage[tensor.storage];
      if (storage < 0) {
        storage = AddStorage(shard.storages[tensor.storage], file);
      }
      tensor.storage = storage;
      joined_.tensors.push_back(std::move(tensor));
    }
    for (SkippedValue& value : shard.skipped) {
      skipped_in_.try_emplace(value.path, file);
      joined_.skipped.push_back(std::move(value));
    }
    JoinSubtrees(std::move(shard.subtrees));
    JoinModuleVersions(std::move(shard.module_versions));
    JoinMetadata(shard.metadata_json);
    return absl::OkStatus();
  }

  absl::StatusOr<FileContents> Finish() {
    if (index_ != nullptr) RETURN_IF_ERROR(CheckAllFound());
    if (!metadata_.empty()) joined_.metadata_json = metadata_.dump();
    return std::move(joined_);
  }

 private:
  absl::Status CheckFormat(int file, absl::string_view format) {
    if (joined_.format.empty()) {
      joined_.format = std::string(format);
      first_file_ = file;
    }
    if (joined_.format == format) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("the shards are of different formats: ", Name(first_file_),
                     " is ", joined_.format, ", ", Name(file), " is ", format));
  }

  // Whether the key is to be read from this file; an error where two files
  // claim it.
  absl::StatusOr<bool> Claim(const std::string& key, int file, int number) {
    if (index_ != nullptr) {
      const auto shard = index_->shard_of_key.find(key);
      if (shard == index_->shard_of_key.end()) {
        joined_.skipped.push_back({key, "not in the index's weight_map"});
        return false;
      }
      if (shard->second != number) {
        return absl::InvalidArgumentError(
            absl::StrCat("key ", QuoteForMessage(key), " is in shard ",
                         Name(file), ", but the index says that it is in ",
                         QuoteForMessage(index_->shards[shard->second])));
      }
    }
    const auto [claim, is_new] = found_in_.try_emplace(key, file);
    if (!is_new) {
      return absl::InvalidArgumentError(
          absl::StrCat("key ", QuoteForMessage(key), " is in two shards, ",
                       Name(claim->second), " and ", Name(file)));
    }
    return true;
  }

  int32_t AddStorage(FileStorage storage, int file) {
    storage.file = file;
    joined_.storages.push_back(storage);
    return static_cast<int32_t>(joined_.storages.size()) - 1;
  }

  void JoinSubtrees(std::vector<std::string> subtrees) {
    for (std::string& subtree : subtrees) {
      if (!subtrees_.insert(subtree).second) continue;
      joined_.subtrees.push_back(std::move(subtree));
    }
  }

  void JoinModuleVersions(std::vector<ModuleVersion> versions) {
    for (ModuleVersion& version : versions) {
      if (!module_paths_.insert(version.path).second) continue;
      joined_.module_versions.push_back(std::move(version));
    }
  }

  void JoinMetadata(absl::string_view object) {
    if (object.empty()) return;
    const nlohmann::json values = nlohmann::json::parse(
        object.begin(), object.end(), nullptr, /*allow_exceptions=*/false);
    if (!values.is_object()) return;
    metadata_.insert(values.begin(), values.end());  // keeps what is there
  }

  // That every key of the index came, be it as a value that had to be skipped.
  absl::Status CheckAllFound() const {
    const std::string* missing = nullptr;
    for (const auto& [key, shard] : index_->shard_of_key) {
      if (found_in_.contains(key) || skipped_in_.contains(key)) continue;
      // The first by name, so that the message is always the same.
      if (missing == nullptr || key < *missing) missing = &key;
    }
    if (missing == nullptr) return absl::OkStatus();
    const int shard = index_->shard_of_key.at(*missing);
    return absl::InvalidArgumentError(
        absl::StrCat("key ", QuoteForMessage(*missing), " is not in shard ",
                     QuoteForMessage(index_->shards[shard]),
                     ", which the index names for it"));
  }

  std::string Name(int file) const {
    return QuoteForMessage(files_[file].name);
  }

  const absl::Span<const FileView> files_;
  const ShardIndex* const index_;
  FileContents joined_;
  int first_file_ = 0;
  absl::flat_hash_map<std::string, int> found_in_;    // key to file
  absl::flat_hash_map<std::string, int> skipped_in_;  // path to file
  absl::flat_hash_set<std::string> subtrees_;
  absl::flat_hash_set<std::string> module_paths_;
  nlohmann::json metadata_ = nlohmann::json::object();
};

using FileOfName = absl::flat_hash_map<std::string, int>;

absl::StatusOr<FileOfName> MapNames(absl::Span<const FileView> files) {
  FileOfName file_of_name;
  for (size_t i = 0; i < files.size(); ++i) {
    if (!file_of_name.emplace(files[i].name, static_cast<int>(i)).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("two files are named ", QuoteForMessage(files[i].name)));
    }
  }
  return file_of_name;
}

// The file that is the index, if there is one.
absl::StatusOr<std::optional<int>> FindIndex(absl::Span<const FileView> files) {
  std::optional<int> index;
  for (size_t i = 0; i < files.size(); ++i) {
    if (!IsShardIndex(files[i].bytes)) continue;
    if (index.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "two files are an index: ", QuoteForMessage(files[*index].name),
          " and ", QuoteForMessage(files[i].name)));
    }
    index = static_cast<int>(i);
  }
  return index;
}

// The file of each shard that the index names.
absl::StatusOr<std::vector<int>> FindShards(absl::Span<const FileView> files,
                                            const FileOfName& file_of_name,
                                            int index_file,
                                            const ShardIndex& index) {
  std::vector<int> shards;
  std::vector<bool> is_used(files.size(), false);
  is_used[index_file] = true;
  for (const std::string& name : index.shards) {
    const auto file = file_of_name.find(name);
    if (file == file_of_name.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("shard ", QuoteForMessage(name),
                       ", which the index names, was not uploaded"));
    }
    if (file->second == index_file) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the index names itself, ", QuoteForMessage(name), ", as a shard"));
    }
    is_used[file->second] = true;
    shards.push_back(file->second);
  }
  for (size_t i = 0; i < files.size(); ++i) {
    if (!is_used[i]) {
      return absl::InvalidArgumentError(
          absl::StrCat("file ", QuoteForMessage(files[i].name),
                       " is not named by the index"));
    }
  }
  return shards;
}

absl::StatusOr<FileContents> ReadIndexed(absl::Span<const FileView> files,
                                         const FileOfName& file_of_name,
                                         int index_file) {
  const FileView& file = files[index_file];
  absl::StatusOr<ShardIndex> index = ParseShardIndex(file.bytes);
  if (!index.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        QuoteForMessage(file.name), ": ", index.status().message()));
  }
  ASSIGN_OR_RETURN(const std::vector<int> shards,
                   FindShards(files, file_of_name, index_file, *index));
  Joiner joiner(files, &*index);
  for (size_t number = 0; number < shards.size(); ++number) {
    const int shard = shards[number];
    ASSIGN_OR_RETURN(FileContents contents, ReadOne(files[shard]));
    RETURN_IF_ERROR(
        joiner.Add(shard, static_cast<int>(number), std::move(contents)));
  }
  return joiner.Finish();
}

absl::StatusOr<FileContents> ReadUnindexed(absl::Span<const FileView> files) {
  Joiner joiner(files, nullptr);
  for (size_t i = 0; i < files.size(); ++i) {
    ASSIGN_OR_RETURN(FileContents contents, ReadOne(files[i]));
    RETURN_IF_ERROR(joiner.Add(static_cast<int>(i), static_cast<int>(i),
                               std::move(contents)));
  }
  return joiner.Finish();
}

}  // namespace

absl::StatusOr<FileContents> ReadShardedSet(absl::Span<const FileView> files) {
  ASSIGN_OR_RETURN(const FileOfName file_of_name, MapNames(files));
  ASSIGN_OR_RETURN(const std::optional<int> index_file, FindIndex(files));
  return index_file.has_value() ? ReadIndexed(files, file_of_name, *index_file)
                                : ReadUnindexed(files);
}

}  // namespace warmstart::format
