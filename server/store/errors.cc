#include "server/store/errors.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/error_info.h"

namespace warmstart::store {

absl::Status CheckpointNotFound(const CheckpointName& name) {
  return WithErrorInfo(
      absl::NotFoundError(absl::StrCat("there is no ", name.ToString())),
      reason::kCheckpointNotFound, {{"checkpoint", name.ToString()}});
}

absl::Status AliasNotFound(const AliasName& alias) {
  return WithErrorInfo(
      absl::NotFoundError(absl::StrCat("there is no ", alias.ToString())),
      reason::kAliasNotFound, {{"alias", alias.ToString()}});
}

absl::Status ArchitectureNotFound(absl::string_view name) {
  return WithErrorInfo(
      absl::NotFoundError(absl::StrCat("there is no architecture '", name,
                                       "' among those registered")),
      reason::kArchitectureNotFound, {{"architecture", std::string(name)}});
}

absl::Status BlobNotFound(const Digest& digest) {
  return absl::NotFoundError(
      absl::StrCat("the store holds no bytes with SHA-256 ", digest.ToHex()));
}

absl::Status CheckpointInUse(const CheckpointName& name,
                             const std::vector<AliasName>& aliases) {
  const std::string names =
      absl::StrJoin(aliases, ", ", [](std::string* out, const AliasName& a) {
        absl::StrAppend(out, a.ToString());
      });
  return WithErrorInfo(absl::FailedPreconditionError(absl::StrCat(
                           name.ToString(), " is what ", names,
                           aliases.size() == 1 ? " points" : " point",
                           " to; move or delete that first, or use force")),
                       reason::kCheckpointInUse,
                       {{"checkpoint", name.ToString()}, {"aliases", names}});
}

absl::Status ArchitectureInUse(absl::string_view name,
                               const CheckpointName& example) {
  return WithErrorInfo(
      absl::FailedPreconditionError(absl::StrCat(
          "checkpoints of architecture '", name, "' exist (",
          example.ToString(), " is one); delete them first, or use force")),
      reason::kArchitectureInUse,
      {{"architecture", std::string(name)},
       {"checkpoint", example.ToString()}});
}

absl::Status ArchitectureExists(absl::string_view name) {
  return WithErrorInfo(
      absl::AlreadyExistsError(absl::StrCat(
          "architecture '", name,
          "' is registered with another schema; use another name, or delete "
          "that one first")),
      reason::kArchitectureExists, {{"architecture", std::string(name)}});
}

absl::Status RequestIdReused(absl::string_view request_id) {
  return WithErrorInfo(
      absl::InvalidArgumentError(absl::StrCat(
          "request_id '", request_id,
          "' was used for a request with other contents; use a new one")),
      reason::kRequestIdReused, {{"request_id", std::string(request_id)}});
}

absl::Status SourceDeleted(absl::string_view what, const Digest& digest) {
  return WithErrorInfo(
      absl::AbortedError(absl::StrCat(
          what, " (SHA-256 ", digest.ToHex(),
          ") is not in the store: the last checkpoint that held it was deleted "
          "meanwhile; retry with what is there now")),
      reason::kSourceDeleted, {{"digest", digest.ToHex()}});
}

}  // namespace warmstart::store
