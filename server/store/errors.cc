#include "server/store/errors.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
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

absl::Status ArchitectureNotFound(const ArchitectureName& name) {
  return WithErrorInfo(
      absl::NotFoundError(absl::StrCat("there is no ", name.ToString(),
                                       " among those registered")),
      reason::kArchitectureNotFound, {{"architecture", name.ToString()}});
}

absl::Status BlobNotFound(const Digest& digest) {
  return absl::NotFoundError(
      absl::StrCat("the store holds no bytes with SHA-256 ", digest.ToHex()));
}

absl::Status BlobDamaged(const Digest& digest, absl::Time damage_time) {
  const std::string time =
      absl::FormatTime(absl::RFC3339_sec, damage_time, absl::UTCTimeZone());
  return WithErrorInfo(absl::DataLossError(absl::StrCat(
                           "the bytes with SHA-256 ", digest.ToHex(),
                           " were found to be damaged or gone at ", time,
                           "; saving a file that has them brings them back")),
                       reason::kDataLoss,
                       {{"digest", digest.ToHex()}, {"damage_time", time}});
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

absl::Status InitialValuesInUse(const CheckpointName& name,
                                const ArchitectureName& architecture) {
  return WithErrorInfo(
      absl::FailedPreconditionError(absl::StrCat(
          name.ToString(), " has the initial values of ",
          architecture.ToString(),
          ", which cannot be without them; delete that architecture first")),
      reason::kCheckpointInUse,
      {{"checkpoint", name.ToString()},
       {"architecture", architecture.ToString()}});
}

absl::Status ArchitectureInUse(const ArchitectureName& name,
                               const CheckpointName& example) {
  return WithErrorInfo(
      absl::FailedPreconditionError(absl::StrCat(
          "checkpoints of ", name.ToString(), " exist (", example.ToString(),
          " is one); delete them first, or use force")),
      reason::kArchitectureInUse,
      {{"architecture", name.ToString()}, {"checkpoint", example.ToString()}});
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
