#include "client/cli/lineage_text.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/checkpoint_text.h"
#include "client/cli/outcome_text.h"
#include "client/cli/text.h"

namespace warmstart::client {
namespace {

constexpr size_t kKeysShown = 3;

using FilesByCheckpoint = std::map<std::string, std::string>;

// "net_a.pt", "model-00001.safetensors and 3 more"; "" where there are none.
std::string FilesText(const v1::Origin::Upload& upload) {
  if (upload.files().empty()) return "";
  const int more = upload.files_size() - 1;
  return more == 0 ? upload.files(0)
                   : absl::StrCat(upload.files(0), " and ", more, " more");
}

// The longest run of last parts of a key that all keys of the steps end with;
// "" where there is none.
std::string CommonEnd(const v1::TensorLineage& tensor) {
  absl::string_view end = tensor.steps(0).key();
  const auto is_end_of = [&](absl::string_view key) {
    return key == end || (absl::EndsWith(key, end) &&
                          key[key.size() - end.size() - 1] == '.');
  };
  for (const v1::LineageStep& step : tensor.steps()) {
    while (!end.empty() && !is_end_of(step.key())) {
      const size_t dot = end.find('.');
      end = dot == absl::string_view::npos ? "" : end.substr(dot + 1);
    }
  }
  return std::string(end);
}

bool IsInKey(char c) { return absl::ascii_isalnum(c) || c == '_' || c == '-'; }

// `text` with "*" for `end` where that ends a key: what the tensors of one
// group do not share.
std::string Pattern(absl::string_view text, absl::string_view end) {
  if (end.empty()) return std::string(text);
  std::string result;
  size_t done = 0;
  for (size_t at = text.find(end); at != absl::string_view::npos;
       at = text.find(end, at + 1)) {
    const size_t after = at + end.size();
    const bool begins = at == 0 || !IsInKey(text[at - 1]);
    const bool ends =
        after == text.size() || (!IsInKey(text[after]) && text[after] != '.');
    if (at < done || !begins || !ends) continue;
    absl::StrAppend(&result, text.substr(done, at - done), "*");
    done = after;
  }
  return absl::StrCat(result, text.substr(done));
}

std::string HowMade(const v1::LineageStep& step,
                    const FilesByCheckpoint& files) {
  switch (step.kind()) {
    case v1::LINEAGE_KIND_UPLOADED: {
      const auto found = files.find(step.checkpoint());
      return found == files.end() || found->second.empty()
                 ? "uploaded"
                 : absl::StrCat("uploaded in ", found->second);
    }
    case v1::LINEAGE_KIND_INITIALIZED:
      return "initialized";
    case v1::LINEAGE_KIND_LOADED:
      return step.outcome() == v1::TARGET_OUTCOME_CAST
                 ? absl::StrCat("cast to ", step.dtype())
                 : OutcomeText(step.outcome());
    case v1::LINEAGE_KIND_DELETED:
      return "deleted since";
    case v1::LINEAGE_KIND_CUT:
      return "not followed; ask for the lineage of this one";
    default:
      return absl::StrCat("kind ", step.kind());
  }
}

// "renamed, --strip-prefix module."
std::string StepText(const v1::LineageStep& step, const std::string& end,
                     const FilesByCheckpoint& files) {
  std::vector<std::string> parts = {HowMade(step, files)};
  // What an adapter did says more than the operations that did it.
  const std::string& computed =
      step.adaptation().empty() ? step.derivation() : step.adaptation();
  if (!computed.empty()) parts.push_back(Pattern(computed, end));
  if (!step.initializer().empty()) parts.push_back(step.initializer());
  if (step.has_seed()) parts.push_back(absl::StrCat("seed ", step.seed()));
  parts.insert(parts.end(), step.rules().begin(), step.rules().end());
  if (!step.tied_to().empty()) {
    parts.push_back(absl::StrCat("tied to ", Pattern(step.tied_to(), end)));
  }
  return absl::StrJoin(parts, ", ");
}

// The steps of a tensor as lines. A step that has several sources has them
// below it, further in; a single one follows at the same depth, so that long
// histories stay narrow.
class StepLines {
 public:
  StepLines(const v1::TensorLineage& tensor, const std::string& end,
            const FilesByCheckpoint& files)
      : tensor_(tensor),
        end_(end),
        files_(files),
        printed_(tensor.steps_size(), false) {}

  std::string Render() {
    Add(0, 2);
    return std::move(text_);
  }

 private:
  void Add(int first, size_t indent) {
    for (int i = first; IsStep(i);) {
      const v1::LineageStep& step = tensor_.steps(i);
      const bool again = printed_[i];
      printed_[i] = true;
      AddLine(step, i == 0, again, indent);
      if (again || step.sources().empty()) return;
      if (step.sources_size() > 1) {
        for (const int source : step.sources()) Add(source, indent + 2);
        return;
      }
      i = step.sources(0);
    }
  }

  // A server's numbers are taken with care.
  bool IsStep(int i) const { return i >= 0 && i < tensor_.steps_size(); }

  void AddLine(const v1::LineageStep& step, bool is_tensor, bool again,
               size_t indent) {
    const bool same_key = step.key() == tensor_.steps(0).key();
    const std::string key =
        same_key ? "" : absl::StrCat(" ", Pattern(step.key(), end_));
    const std::string how = again ? "as above" : StepText(step, end_, files_);
    absl::StrAppend(&text_, std::string(indent, ' '), is_tensor ? "" : "<- ",
                    Printable(absl::StrCat(step.checkpoint(), key, ": ", how)),
                    "\n");
  }

  const v1::TensorLineage& tensor_;
  const std::string& end_;
  const FilesByCheckpoint& files_;
  std::vector<bool> printed_;
  std::string text_;
};

// Tensors that came the same way.
struct Group {
  const v1::TensorLineage* first = nullptr;
  std::vector<std::string> keys;
  std::string steps;
};

std::vector<Group> GroupTensors(const v1::GetLineageResponse& lineage,
                                const FilesByCheckpoint& files, bool each) {
  std::vector<Group> groups;
  std::map<std::string, size_t> group_of;  // by its steps
  for (const v1::TensorLineage& tensor : lineage.tensors()) {
    if (tensor.steps().empty()) continue;
    const std::string end = each ? "" : CommonEnd(tensor);
    const std::string steps = StepLines(tensor, end, files).Render();
    const auto [found, is_new] =
        group_of.emplace(each ? tensor.steps(0).key() : steps, groups.size());
    if (is_new) groups.push_back({.first = &tensor, .steps = steps});
    groups[found->second].keys.push_back(tensor.steps(0).key());
  }
  for (Group& group : groups) {
    if (group.keys.size() > 1) continue;
    group.steps = StepLines(*group.first, /*end=*/"", files).Render();
  }
  return groups;
}

// "8 tensors: conv1.weight, conv1.bias, conv2.weight and 5 more"
std::string KeysText(const std::vector<std::string>& keys) {
  if (keys.size() == 1) return keys[0];
  const size_t shown = std::min(keys.size(), kKeysShown);
  std::string text =
      absl::StrCat(Plural(static_cast<int64_t>(keys.size()), "tensor"), ": ",
                   absl::StrJoin(keys.begin(), keys.begin() + shown, ", "));
  if (shown < keys.size()) {
    absl::StrAppend(&text, " and ", keys.size() - shown, " more");
  }
  return text;
}

Table CheckpointTable(const v1::GetLineageResponse& lineage) {
  Table table({{"CHECKPOINT"}, {"ARCHITECTURE"}, {"CREATED"}, {"ORIGIN"}});
  for (const v1::LineageCheckpoint& checkpoint : lineage.checkpoints()) {
    const bool is_known = checkpoint.has_create_time();
    table.AddRow(
        {{checkpoint.name()},
         {ArchitectureName(checkpoint.architecture())},
         {is_known ? FormatTime(checkpoint.create_time()) : ""},
         {checkpoint.deleted() ? "deleted" : OriginText(checkpoint.origin()),
          checkpoint.deleted() ? Color::kRed : Color::kPlain}});
  }
  return table;
}

}  // namespace

std::string RenderLineage(const v1::GetLineageResponse& lineage,
                          const LineageTextOptions& options) {
  FilesByCheckpoint files;
  for (const v1::LineageCheckpoint& checkpoint : lineage.checkpoints()) {
    files[checkpoint.name()] = FilesText(checkpoint.origin().upload());
  }
  std::string text = CheckpointTable(lineage).Render(options.style);
  const std::vector<Group> groups = GroupTensors(lineage, files, options.each);
  const size_t shown = std::min(groups.size(), options.style.max_rows);
  for (size_t i = 0; i < shown; ++i) {
    absl::StrAppend(&text, "\n",
                    Paint(Color::kBold, Printable(KeysText(groups[i].keys)),
                          options.style.color),
                    "\n", groups[i].steps);
  }
  if (shown < groups.size()) {
    absl::StrAppend(&text, MoreLine(groups.size() - shown));
  }
  return text;
}

}  // namespace warmstart::client
