#include "server/service/architecture_registry.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/model/resource_name.h"
#include "server/service/architecture_checks.h"
#include "server/service/initial_values.h"
#include "server/service/registered_model.h"

namespace warmstart::service {
namespace {

constexpr size_t kDefaultPageSize = 50;
// Begins the page tokens of registered architectures; no name has a colon.
constexpr char kStoredToken[] = "stored:";

absl::Status BuiltIn(absl::StatusCode code, const ArchitectureName& name,
                     absl::string_view problem) {
  const std::string resource = name.WithVersion(0).ToString();
  return WithErrorInfo(absl::Status(code, absl::StrCat(resource, problem)),
                       reason::kArchitectureBuiltIn,
                       {{"architecture", resource}});
}

ListedArchitecture ListBuiltIn(const backend::ModelArchitecture& model) {
  return {model.schema(), /*built_in=*/true, model.has_forward()};
}

void AddStored(std::vector<Architecture> stored, ArchitectureListing& listing) {
  for (Architecture& architecture : stored) {
    const bool has_forward = architecture.module.has_value();
    listing.architectures.push_back(
        {std::move(architecture), /*built_in=*/false, has_forward});
  }
}

}  // namespace

ArchitectureRegistry::ArchitectureRegistry(
    store::Store& store,
    std::vector<std::unique_ptr<backend::ModelArchitecture>> built_in,
    size_t max_cached_entries)
    : store_(store), cache_(max_cached_entries) {
  for (auto& model : built_in) {
    const std::string name = model->schema().name;
    built_in_[name] = std::move(model);
  }
}

absl::Status ArchitectureRegistry::NotFound(
    const ArchitectureName& name) const {
  const std::string resource = name.ToString();
  const std::string hint =
      name.version() != 0
          ? absl::StrCat("; ", name.WithVersion(0).ToString(),
                         " means the newest version, where there is one")
          : absl::StrCat("; built in are ",
                         absl::StrJoin(built_in_, ", ",
                                       [](std::string* out, const auto& entry) {
                                         out->append(entry.first);
                                       }),
                         "; others are registered with RegisterArchitecture");
  return WithErrorInfo(
      absl::NotFoundError(absl::StrCat(resource, " is not registered", hint)),
      reason::kArchitectureNotFound, {{"architecture", resource}});
}

absl::StatusOr<ModelPtr> ArchitectureRegistry::Find(absl::string_view text,
                                                    absl::string_view field) {
  ASSIGN_OR_RETURN(const ArchitectureName name,
                   ParseArchitectureName(text, field));
  if (const auto found = built_in_.find(name.id()); found != built_in_.end()) {
    return name.version() == 0 ? absl::StatusOr<ModelPtr>(found->second)
                               : NotFound(name);
  }
  const ModelCache::Lookup cached = cache_.Find(name);
  if (cached.model != nullptr) return cached.model;
  absl::StatusOr<Architecture> schema = store_.GetArchitecture(name);
  if (absl::IsNotFound(schema.status())) return NotFound(name);
  if (!schema.ok()) return schema.status();
  ASSIGN_OR_RETURN(const ModelPtr model,
                   MakeRegisteredModel(*std::move(schema)));
  cache_.Remember(name, model, cached.revision);
  return model;
}

absl::StatusOr<ModelPtr> ArchitectureRegistry::Register(
    Architecture architecture, const RegisterOptions& options) {
  ASSIGN_OR_RETURN(
      const ArchitectureName name,
      ParseArchitectureName(architecture.name, "architecture.name"));
  architecture.name = name.id();
  RETURN_IF_ERROR(CheckArchitectureSize(architecture));
  RETURN_IF_ERROR(TakeFromModule(architecture));
  if (absl::Status status = ValidateArchitecture(architecture); !status.ok()) {
    return InvalidField("architecture", status.message());
  }
  if (IsBuiltIn(name.id())) {
    return BuiltIn(
        absl::StatusCode::kAlreadyExists, name,
        " is built into the server; register yours under another name");
  }
  RETURN_IF_ERROR(
      ResolveInitialValues(store_, options.initial_values, architecture));
  if (options.validate_only) {
    ASSIGN_OR_RETURN(architecture.version,
                     store_.PreviewArchitecture(architecture));
    return MakeRegisteredModel(std::move(architecture));
  }
  ASSIGN_OR_RETURN(const int64_t version, store_.PutArchitecture(architecture));
  cache_.ForgetNewest(name.id());
  // What is stored: of the same values, an older version keeps its checkpoint.
  // Not into the cache: who registers need not be who uses it.
  ASSIGN_OR_RETURN(Architecture stored,
                   store_.GetArchitecture(name.WithVersion(version)));
  return MakeRegisteredModel(std::move(stored));
}

absl::StatusOr<ArchitectureListing> ArchitectureRegistry::List(
    int page_size, const std::string& page_token) {
  ArchitectureListing listing;
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
      if (listing.architectures.size() == limit) {
        listing.next_page_token = listing.architectures.back().schema.name;
        return listing;
      }
      listing.architectures.push_back(ListBuiltIn(*next->second));
    }
    if (listing.architectures.size() == limit) {
      listing.next_page_token = kStoredToken;
      return listing;
    }
    token = "";
  }
  ASSIGN_OR_RETURN(store::ArchitecturePage stored,
                   store_.ListArchitectures(
                       static_cast<int>(limit - listing.architectures.size()),
                       std::string(token)));
  AddStored(std::move(stored.architectures), listing);
  if (!stored.next_page_token.empty()) {
    listing.next_page_token =
        absl::StrCat(kStoredToken, stored.next_page_token);
  }
  return listing;
}

absl::StatusOr<ArchitectureListing> ArchitectureRegistry::ListVersions(
    absl::string_view text, int page_size, const std::string& page_token) {
  ASSIGN_OR_RETURN(const ArchitectureName name,
                   ParseArchitectureName(text, "architecture"));
  if (name.version() != 0) {
    return InvalidField("architecture",
                        "is a version; leave that out to list all of them");
  }
  ArchitectureListing listing;
  if (const auto found = built_in_.find(name.id()); found != built_in_.end()) {
    if (!page_token.empty()) {
      return InvalidField("page_token", "was not given by this server");
    }
    listing.architectures.push_back(ListBuiltIn(*found->second));
    return listing;
  }
  absl::StatusOr<store::ArchitecturePage> stored =
      store_.ListArchitectureVersions(
          name, page_size > 0 ? page_size : static_cast<int>(kDefaultPageSize),
          page_token);
  if (absl::IsNotFound(stored.status())) return NotFound(name);
  if (!stored.ok()) return stored.status();
  AddStored(std::move(stored->architectures), listing);
  listing.next_page_token = std::move(stored->next_page_token);
  return listing;
}

absl::Status ArchitectureRegistry::Delete(absl::string_view text, bool force) {
  ASSIGN_OR_RETURN(const ArchitectureName name,
                   ParseArchitectureName(text, "name"));
  if (IsBuiltIn(name.id())) {
    return BuiltIn(absl::StatusCode::kFailedPrecondition, name,
                   " is built into the server and cannot be deleted");
  }
  RETURN_IF_ERROR(store_.DeleteArchitecture(name, force));
  cache_.Forget(name);
  return absl::OkStatus();
}

}  // namespace warmstart::service
