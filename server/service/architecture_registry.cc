#include "server/service/architecture_registry.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/model/resource_name.h"

namespace warmstart::service {
namespace {

constexpr size_t kDefaultPageSize = 50;
// Begins the page tokens of registered architectures; no name has a colon.
constexpr char kStoredToken[] = "stored:";

// Schemas are read and written as a whole, in memory. The largest mixtures of
// experts have some hundred thousand keys.
constexpr size_t kMaxEntries = size_t{1} << 18;
constexpr size_t kMaxKeyBytes = size_t{16} << 10;

std::string ResourceOf(absl::string_view id) {
  return absl::StrCat("architectures/", id);
}

absl::StatusOr<std::string> ParseName(absl::string_view name,
                                      absl::string_view field) {
  if (name.empty()) return InvalidField(field, "is required");
  absl::StatusOr<ArchitectureName> parsed = ArchitectureName::Parse(name);
  if (!parsed.ok()) return InvalidField(field, parsed.status().message());
  return parsed->id();
}

absl::Status CheckCount(absl::string_view field, size_t count) {
  if (count <= kMaxEntries) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("there are ", count, ", at most ",
                                          kMaxEntries, " are allowed"));
}

absl::Status CheckSize(const Architecture& architecture) {
  RETURN_IF_ERROR(
      CheckCount("architecture.entries", architecture.entries.size()));
  RETURN_IF_ERROR(
      CheckCount("architecture.modules", architecture.modules.size()));
  for (size_t i = 0; i < architecture.entries.size(); ++i) {
    if (architecture.entries[i].key.size() > kMaxKeyBytes) {
      return InvalidField(
          absl::StrCat("architecture.entries[", i, "].key"),
          absl::StrCat("is longer than ", kMaxKeyBytes, " bytes"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

ArchitectureRegistry::ArchitectureRegistry(
    store::Store& store,
    std::vector<std::unique_ptr<backend::ModelArchitecture>> built_in,
    size_t max_cached_entries)
    : store_(store), max_cached_entries_(max_cached_entries) {
  for (auto& model : built_in) {
    const std::string name = model->schema().name;
    built_in_[name] = std::move(model);
  }
}

absl::StatusOr<ModelPtr> ArchitectureRegistry::Find(absl::string_view name,
                                                    absl::string_view field) {
  ASSIGN_OR_RETURN(const std::string id, ParseName(name, field));
  if (const auto found = built_in_.find(id); found != built_in_.end()) {
    return found->second;
  }
  uint64_t deletions = 0;
  {
    absl::MutexLock lock(&mutex_);
    if (const auto found = cache_.find(id); found != cache_.end()) {
      return found->second;
    }
    deletions = deletions_;
  }
  absl::StatusOr<Architecture> schema = store_.GetArchitecture(id);
  if (absl::IsNotFound(schema.status())) {
    return WithErrorInfo(
        absl::NotFoundError(
            absl::StrCat(ResourceOf(id), " is not registered; built in are ",
                         absl::StrJoin(built_in_, ", ",
                                       [](std::string* out, const auto& entry) {
                                         out->append(entry.first);
                                       }),
                         "; others are registered with RegisterArchitecture")),
        reason::kArchitectureNotFound, {{"architecture", ResourceOf(id)}});
  }
  if (!schema.ok()) return schema.status();
  const ModelPtr model = backend::MakeSchemaArchitecture(*std::move(schema));
  Remember(id, model, deletions);
  return model;
}

void ArchitectureRegistry::Remember(const std::string& id,
                                    const ModelPtr& model, uint64_t deletions) {
  const size_t entries = model->schema().entries.size();
  absl::MutexLock lock(&mutex_);
  if (deletions != deletions_ || cache_.contains(id)) return;
  if (entries > max_cached_entries_) return;
  if (cached_entries_ + entries > max_cached_entries_) {
    cache_.clear();
    cached_entries_ = 0;
  }
  cache_[id] = model;
  cached_entries_ += entries;
}

absl::StatusOr<ModelPtr> ArchitectureRegistry::Register(
    Architecture architecture) {
  ASSIGN_OR_RETURN(architecture.name,
                   ParseName(architecture.name, "architecture.name"));
  RETURN_IF_ERROR(CheckSize(architecture));
  if (absl::Status status = ValidateArchitecture(architecture); !status.ok()) {
    return InvalidField("architecture", status.message());
  }
  if (IsBuiltIn(architecture.name)) {
    const std::string resource = ResourceOf(architecture.name);
    return WithErrorInfo(
        absl::AlreadyExistsError(absl::StrCat(
            resource,
            " is built into the server; register yours under another name")),
        reason::kArchitectureBuiltIn, {{"architecture", resource}});
  }
  RETURN_IF_ERROR(store_.PutArchitecture(architecture));
  return backend::MakeSchemaArchitecture(std::move(architecture));
}

absl::StatusOr<ModelPage> ArchitectureRegistry::List(
    int page_size, const std::string& page_token) {
  ModelPage page;
  const size_t limit = page_size > 0 ? page_size : kDefaultPageSize;
  absl::string_view token = page_token;
  const bool stored_only = absl::ConsumePrefix(&token, kStoredToken);
  if (!stored_only) {
    // The token is the name of the built-in one that came last.
    if (!token.empty() && !IsBuiltIn(std::string(token))) {
      return InvalidField("page_token", "was not given by this server");
    }
    for (auto next = built_in_.upper_bound(std::string(token));
         next != built_in_.end(); ++next) {
      if (page.models.size() == limit) {
        page.next_page_token = page.models.back()->schema().name;
        return page;
      }
      page.models.push_back(next->second);
    }
    if (page.models.size() == limit) {
      page.next_page_token = kStoredToken;
      return page;
    }
    token = "";
  }
  ASSIGN_OR_RETURN(
      store::ArchitecturePage stored,
      store_.ListArchitectures(static_cast<int>(limit - page.models.size()),
                               std::string(token)));
  for (Architecture& architecture : stored.architectures) {
    page.models.push_back(
        backend::MakeSchemaArchitecture(std::move(architecture)));
  }
  if (!stored.next_page_token.empty()) {
    page.next_page_token = absl::StrCat(kStoredToken, stored.next_page_token);
  }
  return page;
}

absl::Status ArchitectureRegistry::Delete(absl::string_view name, bool force) {
  ASSIGN_OR_RETURN(const std::string id, ParseName(name, "name"));
  if (IsBuiltIn(id)) {
    return WithErrorInfo(
        absl::FailedPreconditionError(absl::StrCat(
            ResourceOf(id), " is built into the server and cannot be deleted")),
        reason::kArchitectureBuiltIn, {{"architecture", ResourceOf(id)}});
  }
  RETURN_IF_ERROR(store_.DeleteArchitecture(id, force));
  absl::MutexLock lock(&mutex_);
  ++deletions_;
  if (const auto found = cache_.find(id); found != cache_.end()) {
    cached_entries_ -= found->second->schema().entries.size();
    cache_.erase(found);
  }
  return absl::OkStatus();
}

}  // namespace warmstart::service
