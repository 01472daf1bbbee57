// The names under which the API's resources go: checkpoints/{id},
// aliases/{alias}, architectures/{architecture}.

#ifndef WARMSTART_SERVER_MODEL_RESOURCE_NAME_H_
#define WARMSTART_SERVER_MODEL_RESOURCE_NAME_H_

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

// The id in "architectures/{id}" or bare "{id}": 1 to 128 of [A-Za-z0-9._-],
// the first a letter or digit.
absl::StatusOr<std::string> ParseArchitectureName(absl::string_view name);

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_RESOURCE_NAME_H_
