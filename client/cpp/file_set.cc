#include "client/cpp/file_set.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "client/cpp/status_macros.h"
#include "nlohmann/json.hpp"

namespace warmstart::client {
namespace {

constexpr absl::string_view kIndexSuffix = ".index.json";
constexpr std::array<absl::string_view, 5> kCheckpointSuffixes = {
    ".pt", ".pth", ".bin", ".ckpt", ".safetensors"};
// An index has a line for each tensor; the largest published have a few MiB.
constexpr int64_t kMaxIndexBytes = 64 << 20;

absl::Status CannotRead(const std::string& path, int error) {
  return absl::ErrnoToStatus(error, absl::StrCat("cannot read ", path));
}

absl::StatusOr<struct stat> Stat(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return CannotRead(path, errno);
  return info;
}

bool IsCheckpointName(absl::string_view name) {
  return absl::c_any_of(kCheckpointSuffixes, [&](absl::string_view suffix) {
    return absl::EndsWith(name, suffix);
  });
}

std::string FolderOf(const std::string& path) {
  const std::filesystem::path parent =
      std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(folder.c_str()),
                                                closedir);
  if (dir == nullptr) return CannotRead(folder, errno);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(dir.get())) {
    names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

template <typename Predicate>
std::vector<std::string> Filter(const std::vector<std::string>& names,
                                Predicate predicate) {
  std::vector<std::string> result;
  absl::c_copy_if(names, std::back_inserter(result), predicate);
  return result;
}

// The path of the one file in `folder` that stands for its checkpoint.
absl::StatusOr<std::string> MainFileIn(const std::string& folder) {
  CLIENT_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                          NamesIn(folder));
  std::vector<std::string> found = Filter(names, [](const std::string& name) {
    return absl::EndsWith(name, kIndexSuffix);
  });
  if (found.empty()) found = Filter(names, IsCheckpointName);
  if (found.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, " holds no checkpoint: no *", kIndexSuffix,
                     " and no *", absl::StrJoin(kCheckpointSuffixes, ", *")));
  }
  if (found.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, " holds several checkpoints (",
                     absl::StrJoin(found, ", "), "): name the one you mean"));
  }
  return (std::filesystem::path(folder) / found.front()).string();
}

absl::StatusOr<nlohmann::json> ReadIndex(const LocalFile& index) {
  if (index.size > kMaxIndexBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        index.path, " is too large for an index: ", index.size, " bytes"));
  }
  std::ifstream stream(index.path, std::ios::binary);
  if (!stream) return CannotRead(index.path, errno);
  nlohmann::json json = nlohmann::json::parse(stream, /*cb=*/nullptr,
                                              /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    return absl::InvalidArgumentError(
        absl::StrCat(index.path, " is not valid JSON"));
  }
  return json;
}

// A shard is a plain name: an index must not make the client read, and send
// away, files from elsewhere.
bool IsPlainName(absl::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         !absl::StrContains(name, '/') && !absl::StrContains(name, '\\') &&
         !absl::StrContains(name, '\0');
}

// The shards that an index names, each once, sorted.
absl::StatusOr<std::set<std::string>> ShardNames(const LocalFile& index) {
  CLIENT_ASSIGN_OR_RETURN(const nlohmann::json json, ReadIndex(index));
  const auto weight_map = json.find("weight_map");
  if (weight_map == json.end() || !weight_map->is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(
        index.path, " is not an index of shards: it has no \"weight_map\""));
  }
  std::set<std::string> names;
  for (const auto& [key, value] : weight_map->items()) {
    if (!value.is_string() || !IsPlainName(value.get<std::string>())) {
      return absl::InvalidArgumentError(absl::StrCat(
          index.path, " names a shard that is no plain file name: ",
          value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace),
          " for key \"", key, "\""));
    }
    names.insert(value.get<std::string>());
  }
  return names;
}

class FileSet {
 public:
  absl::Status AddPath(const std::string& path) {
    CLIENT_ASSIGN_OR_RETURN(const struct stat info, Stat(path));
    if (!S_ISDIR(info.st_mode)) return AddFile(path);
    CLIENT_ASSIGN_OR_RETURN(const std::string main, MainFileIn(path));
    return AddFile(main);
  }

  std::vector<LocalFile> Take() && { return std::move(files_); }

 private:
  absl::Status AddFile(const std::string& path) {
    CLIENT_ASSIGN_OR_RETURN(const struct stat info, Stat(path));
    if (!S_ISREG(info.st_mode)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, " is not a regular file"));
    }
    const LocalFile file{std::filesystem::path(path).filename().string(), path,
                         info.st_size};
    const auto same_name = absl::c_find_if(files_, [&](const LocalFile& other) {
      return other.name == file.name;
    });
    if (same_name == files_.end()) {
      files_.push_back(file);
      return absl::EndsWith(file.name, kIndexSuffix) ? AddShards(file)
                                                     : absl::OkStatus();
    }
    // A shard named by its index and by the user as well.
    std::error_code ignored;
    if (std::filesystem::equivalent(same_name->path, path, ignored)) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat(same_name->path, " and ", path,
                     " have the same name; files of one checkpoint need names "
                     "of their own"));
  }

  absl::Status AddShards(const LocalFile& index) {
    CLIENT_ASSIGN_OR_RETURN(const std::set<std::string> names,
                            ShardNames(index));
    const std::filesystem::path folder = FolderOf(index.path);
    for (const std::string& name : names) {
      const std::string path = (folder / name).string();
      if (absl::EndsWith(name, kIndexSuffix)) {
        return absl::InvalidArgumentError(absl::StrCat(
            index.path, " names another index as a shard: ", name));
      }
      if (absl::Status status = AddFile(path); !status.ok()) {
        return absl::Status(status.code(),
                            absl::StrCat(status.message(), " (a shard that ",
                                         index.path, " names)"));
      }
    }
    return absl::OkStatus();
  }

  std::vector<LocalFile> files_;
};

}  // namespace

int64_t TotalSize(absl::Span<const LocalFile> files) {
  int64_t total = 0;
  for (const LocalFile& file : files) total += file.size;
  return total;
}

absl::StatusOr<std::vector<LocalFile>> ResolveFileSet(
    absl::Span<const std::string> paths) {
  if (paths.empty()) return absl::InvalidArgumentError("no file is named");
  FileSet set;
  for (const std::string& path : paths) {
    CLIENT_RETURN_IF_ERROR(set.AddPath(path));
  }
  return std::move(set).Take();
}

}  // namespace warmstart::client
