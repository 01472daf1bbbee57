// The names under which the API's resources go: checkpoints/{id},
// aliases/{alias}, architectures/{architecture}/versions/{version}.

#ifndef WARMSTART_SERVER_MODEL_RESOURCE_NAME_H_
#define WARMSTART_SERVER_MODEL_RESOURCE_NAME_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace warmstart {

// The name of one checkpoint; its id is 1 to 64 of [a-z0-9-].
class CheckpointName {
 public:
  CheckpointName() = default;

  // Takes "checkpoints/{id}"; INVALID_ARGUMENT for anything else.
  static absl::StatusOr<CheckpointName> Parse(absl::string_view name);
  // A name that nobody has: 80 random bits.
  static CheckpointName Random();

  const std::string& id() const { return id_; }
  std::string ToString() const;

  friend bool operator==(const CheckpointName&,
                         const CheckpointName&) = default;
  friend bool operator<(const CheckpointName& a, const CheckpointName& b) {
    return a.id_ < b.id_;
  }

 private:
  explicit CheckpointName(std::string id) : id_(std::move(id)) {}

  std::string id_;
};

// An alias: 1 to 128 of [A-Za-z0-9._/-], in parts that a slash separates, none
// of them empty, "." or "..": "resnet50/prod".
class AliasName {
 public:
  AliasName() = default;

  // Takes "aliases/{alias}" and bare "{alias}".
  static absl::StatusOr<AliasName> Parse(absl::string_view name);

  const std::string& id() const { return id_; }
  std::string ToString() const;

  friend bool operator==(const AliasName&, const AliasName&) = default;

 private:
  explicit AliasName(std::string id) : id_(std::move(id)) {}

  std::string id_;
};

// The name of a version of an architecture, or, where `version` is 0, of a
// built-in one or of whichever version is the newest. Its id is 1 to 128 of
// [A-Za-z0-9._-], the first a letter or digit.
class ArchitectureName {
 public:
  ArchitectureName() = default;

  // Takes "architectures/{id}", "architectures/{id}/versions/{version}", and
  // both without "architectures/"; a version is 1 to 2^53 in plain digits.
  static absl::StatusOr<ArchitectureName> Parse(absl::string_view name);

  const std::string& id() const { return id_; }
  int64_t version() const { return version_; }
  ArchitectureName WithVersion(int64_t version) const {
    return ArchitectureName(id_, version);
  }
  // "architectures/{id}" or "architectures/{id}/versions/{version}".
  std::string ToString() const;

  friend bool operator==(const ArchitectureName&,
                         const ArchitectureName&) = default;

 private:
  ArchitectureName(std::string id, int64_t version)
      : id_(std::move(id)), version_(version) {}

  std::string id_;
  int64_t version_ = 0;
};

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_RESOURCE_NAME_H_
