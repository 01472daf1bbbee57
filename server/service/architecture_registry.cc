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

absl::StatusOr<std::string> ParseName(absl::string_view name) {
  if (name.empty()) return InvalidField("architecture", "is required");
  absl::StatusOr<std::string> parsed = ParseArchitectureName(name);
  if (!parsed.ok()) {
    return InvalidField("architecture", parsed.status().message());
  }
  return parsed;
}

}  // namespace

ArchitectureRegistry::ArchitectureRegistry(
    store::Store& store,
    std::vector<std::unique_ptr<backend::ModelArchitecture>> built_in)
    : store_(store) {
  for (auto& model : built_in) {
    const std::string name = model->schema().name;
    built_in_[name] = std::move(model);
  }
}

absl::StatusOr<ModelPtr> ArchitectureRegistry::Find(absl::string_view name) {
  ASSIGN_OR_RETURN(const std::string id, ParseName(name));
  if (const auto found = built_in_.find(id); found != built_in_.end()) {
    return found->second;
  }
  // Held while the store is read, so that what is cached is never older than
  // what a Delete left.
  absl::MutexLock lock(&mutex_);
  if (const auto found = cache_.find(id); found != cache_.end()) {
    return found->second;
  }
  absl::StatusOr<Architecture> schema = store_.GetArchitecture(id);
  if (absl::IsNotFound(schema.status())) {
    return WithErrorInfo(
        absl::NotFoundError(absl::StrCat(
            "architectures/", id, " is not registered; built in are ",
            absl::StrJoin(built_in_, ", ",
                          [](std::string* out, const auto& entry) {
                            out->append(entry.first);
                          }),
            "; others are registered with RegisterArchitecture")),
        reason::kArchitectureNotFound,
        {{"architecture", absl::StrCat("architectures/", id)}});
  }
  if (!schema.ok()) return schema.status();
  ModelPtr model = backend::MakeSchemaArchitecture(*std::move(schema));
  if (cache_.size() >= kMaxCached) cache_.clear();
  cache_[id] = model;
  return model;
}

absl::StatusOr<ModelPtr> ArchitectureRegistry::Register(
    Architecture architecture) {
  ASSIGN_OR_RETURN(architecture.name, ParseName(architecture.name));
  if (absl::Status status = ValidateArchitecture(architecture); !status.ok()) {
    return WithErrorInfo(std::move(status), reason::kInvalidField,
                         {{"field", "architecture"}});
  }
  const std::string name = architecture.name;
  if (IsBuiltIn(name)) {
    return WithErrorInfo(
        absl::AlreadyExistsError(absl::StrCat(
            "architectures/", name,
            " is built into the server; register yours under another name")),
        reason::kArchitectureBuiltIn,
        {{"architecture", absl::StrCat("architectures/", name)}});
  }
  absl::Status status = store_.PutArchitecture(architecture);
  if (absl::IsAlreadyExists(status)) {
    return WithErrorInfo(
        std::move(status), reason::kArchitectureExists,
        {{"architecture", absl::StrCat("architectures/", name)}});
  }
  RETURN_IF_ERROR(status);
  return Find(name);
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
  ASSIGN_OR_RETURN(const std::string id, ParseName(name));
  const std::string resource = absl::StrCat("architectures/", id);
  if (IsBuiltIn(id)) {
    return WithErrorInfo(
        absl::FailedPreconditionError(absl::StrCat(
            resource, " is built into the server and cannot be deleted")),
        reason::kArchitectureBuiltIn, {{"architecture", resource}});
  }
  absl::MutexLock lock(&mutex_);
  cache_.erase(id);
  const absl::Status status = store_.DeleteArchitecture(id, force);
  return WithErrorInfo(status,
                       absl::IsNotFound(status) ? reason::kArchitectureNotFound
                                                : reason::kArchitectureInUse,
                       {{"architecture", resource}});
}

}  // namespace warmstart::service
