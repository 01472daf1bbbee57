#include "server/format/torch/state_tree.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/format/key_check.h"
#include "server/format/pickle/pickled_object.h"
#include "server/format/pickle/plain_value.h"
#include "server/format/torch/pickled_tensor.h"
#include "server/format/torch/tensor_table.h"
#include "server/model/utf8.h"

namespace warmstart::format {
namespace {

absl::Status Error(absl::string_view what) {
  return absl::InvalidArgumentError(what);
}

// What a value contributed besides what went into FileContents.
struct Outcome {
  std::optional<Json> plain;
  bool has_tensors = false;
};

// A member of a dict or an object.
struct Member {
  PickleKind key_kind;
  std::string name;
  PickleId value;
};

// Values that appear at many paths (through the memo, a few bytes can name a
// large value again) are visited at each of them. This bounds the sum.
class Budget {
 public:
  explicit Budget(int64_t pickle_bytes)
      : visits_(2 * pickle_bytes + (1 << 16)),
        text_(8 * pickle_bytes + (1 << 20)) {}

  absl::Status Visit(size_t count) { return Take(visits_, count); }
  // Of paths, and of the text in the metadata.
  absl::Status Text(size_t bytes) { return Take(text_, bytes); }

 private:
  static absl::Status Take(int64_t& left, size_t amount) {
    left -= static_cast<int64_t>(amount);
    if (left >= 0) return absl::OkStatus();
    return Error(
        "the file's values are shared so often that they expand to many times "
        "its size");
  }

  int64_t visits_;
  int64_t text_;
};

class StateTree {
 public:
  StateTree(const PickleHeap& heap, absl::string_view file,
            int64_t pickle_bytes, StorageSource& storages,
            FileContents* contents)
      : heap_(heap),
        file_(file),
        storages_(storages),
        contents_(*contents),
        table_(static_cast<int64_t>(file.size()), contents),
        budget_(pickle_bytes) {}

  absl::Status Read(PickleId root);

 private:
  // Visits a value at path_.
  absl::StatusOr<Outcome> Visit(PickleId id);
  absl::StatusOr<Outcome> VisitMembers(const std::vector<PickleId>& items);
  absl::StatusOr<Outcome> VisitList(const std::vector<PickleId>& items);
  absl::StatusOr<Outcome> VisitContainer(PickleId id);
  absl::StatusOr<Outcome> VisitObject(PickleId id);
  absl::StatusOr<Outcome> VisitDict(PickleId id,
                                    const std::vector<PickleId>& items);
  absl::StatusOr<Outcome> VisitModule(const std::vector<PickleId>& attributes);
  // The members of one of a module's own dicts; `except` is a set of names.
  absl::StatusOr<bool> VisitModuleDict(PickleId dict, PickleId except);
  absl::StatusOr<Outcome> VisitTensor(const PickledTensor& tensor);
  // Visits a member under its own path component.
  absl::StatusOr<Outcome> VisitAt(absl::string_view name, PickleId id);
  // Visits as a subtree: one that FileContents::subtrees names if it turns out
  // to hold tensors.
  template <typename Visitor>
  absl::StatusOr<Outcome> AsSubtree(Visitor visitor);

  absl::Status Skip(std::string reason);
  absl::StatusOr<Outcome> SkipOutcome(std::string reason);
  // In order; of keys that are there twice, the first's place with the last's
  // value, as in Python. Keys that cannot be part of a path are skipped.
  absl::StatusOr<std::vector<Member>> ReadMembers(
      const std::vector<PickleId>& items);
  absl::Status CheckUtf8(PickleId key);
  absl::StatusOr<absl::flat_hash_set<std::string>> ReadNames(PickleId set);
  absl::Status ReadModuleVersions(PickleId state_dict);

  const PickleHeap& heap_;
  const absl::string_view file_;
  StorageSource& storages_;
  FileContents& contents_;
  TensorTable table_;
  Budget budget_;

  std::string path_;
  std::vector<PickleId> open_;  // the containers that enclose the value
  int objects_open_ = 0;        // how many of them are objects of some class
  bool in_module_ = false;      // whose parts are no subtrees of their own
  absl::flat_hash_set<PickleId> objects_read_;
};

// A module can be named twice: by its parent's _metadata, and by its own where
// the state_dicts are nested. What is written can name it once.
void KeepFirstVersions(std::vector<ModuleVersion>& versions) {
  absl::flat_hash_set<std::string> seen;
  std::vector<ModuleVersion> kept;
  for (ModuleVersion& version : versions) {
    if (seen.insert(version.path).second) kept.push_back(std::move(version));
  }
  versions = std::move(kept);
}

absl::Status StateTree::Read(PickleId root) {
  root = LookThroughTags(heap_, root);
  ASSIGN_OR_RETURN(Outcome outcome, Visit(root));
  KeepFirstVersions(contents_.module_versions);
  if (!outcome.plain) return absl::OkStatus();
  Json metadata = *std::move(outcome.plain);
  if (metadata.is_array()) {
    Json object = Json::object();
    for (size_t i = 0; i < metadata.size(); ++i) {
      object[std::to_string(i)] = std::move(metadata[i]);
    }
    metadata = std::move(object);
  }
  if (!metadata.is_object()) {
    return Error("the file holds a single plain value instead of tensors");
  }
  contents_.metadata_json =
      MetadataText(std::move(metadata), kMaxMetadataBytes, &contents_.skipped);
  return absl::OkStatus();
}

absl::StatusOr<Outcome> StateTree::Visit(PickleId id) {
  RETURN_IF_ERROR(budget_.Visit(1));
  id = LookThroughTags(heap_, id);
  RETURN_IF_ERROR(budget_.Text(ScalarTextSize(heap_, id)));
  if (std::optional<Json> scalar = PlainScalar(heap_, id)) {
    return Outcome{std::move(scalar), false};
  }
  absl::StatusOr<TensorValue> tensor = DecodeTensor(heap_, id);
  if (!tensor.ok()) {
    return Error(absl::StrCat(tensor.status().message(), ", under the key ",
                              QuoteForMessage(path_)));
  }
  if (const auto* found = std::get_if<PickledTensor>(&*tensor)) {
    return VisitTensor(*found);
  }
  if (const auto* found = std::get_if<UnreadableTensor>(&*tensor)) {
    return SkipOutcome(found->reason);
  }
  if (const auto* found = std::get_if<TensorReference>(&*tensor)) {
    const PickledTensor* referenced = storages_.FindTensor(found->persistent);
    if (referenced != nullptr) return VisitTensor(*referenced);
    return SkipOutcome("storage without a tensor");
  }
  return VisitContainer(id);
}

absl::StatusOr<Outcome> StateTree::VisitTensor(const PickledTensor& tensor) {
  if (open_.empty()) {
    return Error(
        "the file holds one tensor without a name; save a dict instead, as in "
        "torch.save({'name': tensor}, path)");
  }
  absl::StatusOr<ResolvedStorage> storage = storages_.Resolve(tensor.storage);
  if (!storage.ok()) {
    return Error(absl::StrCat("tensor ", QuoteForMessage(path_), ": ",
                              storage.status().message()));
  }
  const std::optional<DType> dtype =
      tensor.dtype ? tensor.dtype : storage->storage_class.dtype;
  if (!dtype) {
    return SkipOutcome(absl::StrCat(
        "tensor of a ", GlobalName(heap_, storage->storage_class.type)));
  }
  RETURN_IF_ERROR(budget_.Text(path_.size()));
  RETURN_IF_ERROR(table_.Add(path_, *dtype, storage->window, tensor));
  return Outcome{std::nullopt, true};
}

// Everything that may enclose other values.
absl::StatusOr<Outcome> StateTree::VisitContainer(PickleId id) {
  if (std::find(open_.begin(), open_.end(), id) != open_.end()) {
    return SkipOutcome("reference to a value that encloses it");
  }
  if (open_.size() >= kMaxNesting) {
    if (objects_open_ > 0) {
      return SkipOutcome(
          absl::StrCat("nested more than ", kMaxNesting, " levels deep"));
    }
    return Error(absl::StrCat("values are nested more than ", kMaxNesting,
                              " levels deep, at the key ",
                              QuoteForMessage(path_)));
  }
  open_.push_back(id);
  std::vector<PickleId> items;
  absl::StatusOr<Outcome> outcome =
      GetDictItems(heap_, id, &items)   ? VisitDict(id, items)
      : GetListItems(heap_, id, &items) ? VisitList(items)
      : heap_.kind(id) == PickleKind::kObject
          ? VisitObject(id)
          : SkipOutcome(
                heap_.kind(id) == PickleKind::kGlobal
                    ? absl::StrCat("class or function ", GlobalName(heap_, id))
                    : "bytes");
  open_.pop_back();
  return outcome;
}

template <typename Visitor>
absl::StatusOr<Outcome> StateTree::AsSubtree(Visitor visitor) {
  if (open_.size() == 1 || in_module_) return visitor();
  // Its place is before those of the subtrees in it.
  const size_t place = contents_.subtrees.size();
  RETURN_IF_ERROR(budget_.Text(path_.size()));
  contents_.subtrees.push_back(path_);
  absl::StatusOr<Outcome> outcome = visitor();
  if (outcome.ok() && !outcome->has_tensors) contents_.subtrees.resize(place);
  return outcome;
}

absl::StatusOr<Outcome> StateTree::VisitDict(
    PickleId id, const std::vector<PickleId>& items) {
  // Their place is before those of the state_dicts in it.
  const size_t place = contents_.module_versions.size();
  RETURN_IF_ERROR(ReadModuleVersions(id));
  ASSIGN_OR_RETURN(Outcome outcome,
                   AsSubtree([&] { return VisitMembers(items); }));
  if (!outcome.has_tensors) contents_.module_versions.resize(place);
  // A subclass may have attributes besides; an OrderedDict's are known.
  std::vector<PickleId> attributes;
  if (heap_.kind(id) == PickleKind::kObject &&
      !IsGlobal(heap_, ClassOf(heap_, id), "collections", "OrderedDict") &&
      GetAttributes(heap_, id, &attributes) && !attributes.empty()) {
    RETURN_IF_ERROR(Skip(absl::StrCat("attributes of an object of class ",
                                      GlobalName(heap_, ClassOf(heap_, id)))));
  }
  return outcome;
}

absl::StatusOr<Outcome> StateTree::VisitMembers(
    const std::vector<PickleId>& items) {
  ASSIGN_OR_RETURN(const std::vector<Member> members, ReadMembers(items));
  Outcome result;
  Json object = Json::object();
  for (const Member& member : members) {
    ASSIGN_OR_RETURN(Outcome outcome, VisitAt(member.name, member.value));
    result.has_tensors |= outcome.has_tensors;
    if (outcome.has_tensors && member.name.empty()) {
      return Error(absl::StrCat("an empty key stands above tensors, in ",
                                QuoteForMessage(path_)));
    }
    if (!outcome.plain) continue;
    RETURN_IF_ERROR(budget_.Text(member.name.size()));
    // Python tells 1 and "1" apart; JSON cannot.
    if (!object.emplace(member.name, *std::move(outcome.plain)).second) {
      RETURN_IF_ERROR(Skip(
          absl::StrCat("second member named ", QuoteForMessage(member.name))));
    }
  }
  if (!object.empty() || members.empty()) result.plain = std::move(object);
  return result;
}

absl::StatusOr<Outcome> StateTree::VisitList(
    const std::vector<PickleId>& items) {
  Outcome result;
  std::vector<std::pair<size_t, Json>> plain;
  for (size_t i = 0; i < items.size(); ++i) {
    ASSIGN_OR_RETURN(Outcome outcome, VisitAt(std::to_string(i), items[i]));
    result.has_tensors |= outcome.has_tensors;
    if (outcome.plain) plain.emplace_back(i, *std::move(outcome.plain));
  }
  if (plain.size() == items.size()) {
    Json array = Json::array();
    for (auto& [i, value] : plain) array.push_back(std::move(value));
    result.plain = std::move(array);
  } else if (!plain.empty()) {
    Json object = Json::object();
    for (auto& [i, value] : plain) object[std::to_string(i)] = std::move(value);
    result.plain = std::move(object);
  }
  return result;
}

absl::StatusOr<Outcome> StateTree::VisitAt(absl::string_view name,
                                           PickleId id) {
  const size_t enclosing = path_.size();
  if (!path_.empty()) path_.push_back('.');
  path_.append(name.data(), name.size());
  absl::StatusOr<Outcome> outcome = Visit(id);
  path_.resize(enclosing);
  return outcome;
}

absl::StatusOr<Outcome> StateTree::VisitObject(PickleId id) {
  const PickleId type = ClassOf(heap_, id);
  std::vector<PickleId> attributes;
  if (!GetAttributes(heap_, id, &attributes)) {
    return SkipOutcome(
        absl::StrCat("object of class ", GlobalName(heap_, type)));
  }
  RETURN_IF_ERROR(budget_.Visit(attributes.size()));
  if (FindItem(heap_, attributes, "_parameters") != kNoPickleId &&
      FindItem(heap_, attributes, "_modules") != kNoPickleId) {
    return AsSubtree([&] { return VisitModule(attributes); });
  }
  if (IsGlobal(heap_, type, "argparse", "Namespace") ||
      IsGlobal(heap_, type, "types", "SimpleNamespace")) {
    return AsSubtree([&] { return VisitMembers(attributes); });
  }
  const bool torch_script =
      heap_.kind(type) == PickleKind::kGlobal &&
      absl::StartsWith(heap_.Global(type).module, "__torch__");
  if (!torch_script) {
    // Graphs of objects may be entangled in any way: each is read once.
    if (!objects_read_.insert(id).second) {
      return SkipOutcome(absl::StrCat("object of class ",
                                      GlobalName(heap_, type),
                                      ", which was read at another path"));
    }
    RETURN_IF_ERROR(
        Skip(absl::StrCat("object of class ", GlobalName(heap_, type),
                          "; its attributes were read")));
  }
  ++objects_open_;
  absl::StatusOr<Outcome> outcome = AsSubtree([&]() -> absl::StatusOr<Outcome> {
    const bool was_in_module = in_module_;
    in_module_ |= torch_script;
    absl::StatusOr<Outcome> members = VisitMembers(attributes);
    in_module_ = was_in_module;
    return members;
  });
  --objects_open_;
  return outcome;
}

absl::StatusOr<Outcome> StateTree::VisitModule(
    const std::vector<PickleId>& attributes) {
  const bool was_in_module = in_module_;
  in_module_ = true;
  Outcome outcome;
  const PickleId transient =
      FindItem(heap_, attributes, "_non_persistent_buffers_set");
  for (absl::string_view part : {"_parameters", "_buffers", "_modules"}) {
    const PickleId dict = FindItem(heap_, attributes, part);
    if (dict == kNoPickleId) continue;
    ASSIGN_OR_RETURN(
        const bool has_tensors,
        VisitModuleDict(dict, part == "_buffers" ? transient : kNoPickleId));
    outcome.has_tensors |= has_tensors;
  }
  in_module_ = was_in_module;
  return outcome;
}

absl::StatusOr<bool> StateTree::VisitModuleDict(PickleId dict,
                                                PickleId except) {
  std::vector<PickleId> items;
  if (!GetDictItems(heap_, dict, &items)) return false;
  ASSIGN_OR_RETURN(const std::vector<Member> members, ReadMembers(items));
  ASSIGN_OR_RETURN(const absl::flat_hash_set<std::string> left_out,
                   ReadNames(except));
  bool has_tensors = false;
  for (const Member& member : members) {
    // A parameter or module that was registered as None has no entry.
    if (heap_.kind(member.value) == PickleKind::kNone ||
        left_out.contains(member.name)) {
      continue;
    }
    ASSIGN_OR_RETURN(const Outcome outcome, VisitAt(member.name, member.value));
    has_tensors |= outcome.has_tensors;
  }
  return has_tensors;
}

absl::StatusOr<absl::flat_hash_set<std::string>> StateTree::ReadNames(
    PickleId set) {
  absl::flat_hash_set<std::string> names;
  std::vector<PickleId> items;
  if (set == kNoPickleId || !GetListItems(heap_, set, &items)) return names;
  RETURN_IF_ERROR(budget_.Visit(items.size()));
  for (PickleId item : items) {
    if (heap_.kind(item) == PickleKind::kString) {
      names.emplace(heap_.Text(item));
    }
  }
  return names;
}

absl::StatusOr<std::vector<Member>> StateTree::ReadMembers(
    const std::vector<PickleId>& items) {
  RETURN_IF_ERROR(budget_.Visit(items.size()));
  std::vector<Member> members;
  members.reserve(items.size() / 2);  // the map refers to their names
  absl::flat_hash_map<std::pair<PickleKind, absl::string_view>, size_t> places;
  places.reserve(items.size() / 2);
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    RETURN_IF_ERROR(CheckUtf8(items[i]));
    std::optional<std::string> name = PlainKey(heap_, items[i]);
    if (!name) {
      RETURN_IF_ERROR(Skip("member whose key is neither text nor a number"));
      continue;
    }
    RETURN_IF_ERROR(budget_.Text(name->size()));
    const PickleKind kind = heap_.kind(items[i]);
    if (const auto place = places.find({kind, *name}); place != places.end()) {
      members[place->second].value = items[i + 1];
      continue;
    }
    members.push_back({kind, *std::move(name), items[i + 1]});
    places.emplace(std::make_pair(kind, absl::string_view(members.back().name)),
                   members.size() - 1);
  }
  return members;
}

absl::Status StateTree::CheckUtf8(PickleId key) {
  if (heap_.kind(key) != PickleKind::kString) return absl::OkStatus();
  const absl::string_view text = heap_.Text(key);
  if (IsUtf8(text)) return absl::OkStatus();
  const bool in_file =
      text.data() >= file_.data() && text.data() < file_.data() + file_.size();
  return Error(absl::StrCat(
      "the key ", QuoteForMessage(text), " is no valid UTF-8",
      in_file ? absl::StrCat(", at byte ", text.data() - file_.data()) : ""));
}

absl::Status StateTree::Skip(std::string reason) {
  RETURN_IF_ERROR(budget_.Text(path_.size() + reason.size()));
  contents_.skipped.push_back({PrintablePath(path_), std::move(reason)});
  return absl::OkStatus();
}

absl::StatusOr<Outcome> StateTree::SkipOutcome(std::string reason) {
  RETURN_IF_ERROR(Skip(std::move(reason)));
  return Outcome();
}

// state_dict()._metadata: {"": {"version": 1}, "fc1": {"version": 1}, ...}. Its
// paths get that of the state_dict itself before them, as keys do.
absl::Status StateTree::ReadModuleVersions(PickleId state_dict) {
  constexpr size_t kMaxFacts = 64;
  std::vector<PickleId> attributes;
  if (heap_.kind(state_dict) != PickleKind::kObject ||
      !IsGlobal(heap_, ClassOf(heap_, state_dict), "collections",
                "OrderedDict") ||
      !GetAttributes(heap_, state_dict, &attributes)) {
    return absl::OkStatus();
  }
  const PickleId metadata = FindItem(heap_, attributes, "_metadata");
  std::vector<PickleId> items;
  if (metadata == kNoPickleId || !GetDictItems(heap_, metadata, &items)) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(std::vector<Member> members, ReadMembers(items));
  for (Member& member : members) {
    if (heap_.kind(member.value) != PickleKind::kDict ||
        heap_.Items(member.value).size() > kMaxFacts) {
      continue;
    }
    const PickleId version =
        FindItem(heap_, heap_.Items(member.value), "version");
    if (version != kNoPickleId && heap_.kind(version) == PickleKind::kInt) {
      std::string path = path_;
      if (!path.empty() && !member.name.empty()) path.push_back('.');
      path.append(member.name);
      RETURN_IF_ERROR(budget_.Text(path.size()));
      contents_.module_versions.push_back(
          {std::move(path), heap_.Int(version)});
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadStateTree(const PickleHeap& heap, PickleId root,
                           absl::string_view file, int64_t pickle_bytes,
                           StorageSource& storages, FileContents* contents) {
  return StateTree(heap, file, pickle_bytes, storages, contents).Read(root);
}

}  // namespace warmstart::format
