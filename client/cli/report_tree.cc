#include "client/cli/report_tree.h"

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/cli/outcome_text.h"
#include "client/cli/text.h"

namespace warmstart::client {
namespace {

bool IsNumber(absl::string_view text) {
  if (text.empty()) return false;
  for (char c : text) {
    if (!absl::ascii_isdigit(c)) return false;
  }
  return true;
}

// A key whose numbers do not matter: "h.3.attn" -> "h.#.attn".
std::string WithoutNumbers(absl::string_view key) {
  std::vector<std::string> parts = absl::StrSplit(key, '.');
  for (std::string& part : parts) {
    if (IsNumber(part)) part = "#";
  }
  return absl::StrJoin(parts, ".");
}

struct Node {
  std::string name;  // one part of a key, or several joined
  const v1::TargetEntry* entry = nullptr;  // where a key ends here
  std::vector<std::unique_ptr<Node>> children;
  std::map<std::string, Node*, std::less<>> child_of;
  int copies = 1;         // folded into this one, itself included
  std::string signature;  // equal for nodes that fared alike
};

void Insert(Node& root, const v1::TargetEntry& entry) {
  Node* node = &root;
  for (absl::string_view part : absl::StrSplit(entry.key(), '.')) {
    const auto found = node->child_of.find(std::string(part));
    if (found != node->child_of.end()) {
      node = found->second;
      continue;
    }
    node->children.push_back(std::make_unique<Node>());
    Node* child = node->children.back().get();
    child->name = std::string(part);
    node->child_of.emplace(child->name, child);
    node = child;
  }
  node->entry = &entry;
}

// A module with one child and no key of its own is a longer name.
void JoinChains(Node& node) {
  for (std::unique_ptr<Node>& child : node.children) {
    JoinChains(*child);
    if (child->entry != nullptr || child->children.size() != 1) continue;
    std::unique_ptr<Node> only = std::move(child->children.front());
    only->name = absl::StrCat(child->name, ".", only->name);
    only->copies *= child->copies;
    child = std::move(only);
  }
}

std::string FateOf(const v1::TargetEntry& entry) {
  const bool same_key = entry.source_key() == entry.key();
  return absl::StrCat(entry.outcome(), "|", FormatShape(entry.shape()), "|",
                      entry.dtype(), "|",
                      same_key ? "" : WithoutNumbers(entry.source_key()), "|",
                      entry.initializer(), "|", entry.adaptation());
}

void Sign(Node& node) {
  node.signature = node.entry == nullptr ? "" : FateOf(*node.entry);
  for (const std::unique_ptr<Node>& child : node.children) {
    Sign(*child);
    absl::StrAppend(&node.signature, "{", child->name, ":", child->signature,
                    "}");
  }
}

void Fold(Node& node) {
  std::vector<std::unique_ptr<Node>> folded;
  std::string last;  // number of the last copy
  const auto close = [&] {
    if (!folded.empty() && folded.back()->copies > 1) {
      folded.back()->name =
          absl::StrCat("{", folded.back()->name, "...", last, "}");
    }
  };
  for (std::unique_ptr<Node>& child : node.children) {
    Fold(*child);
    const bool same = !folded.empty() && IsNumber(child->name) &&
                      folded.back()->signature == child->signature &&
                      IsNumber(folded.back()->name);
    if (same) {
      ++folded.back()->copies;
      last = child->name;
    } else {
      close();
      folded.push_back(std::move(child));
    }
  }
  close();
  node.children = std::move(folded);
}

class TreeText {
 public:
  explicit TreeText(const TableStyle& style)
      : style_(style),
        table_({{"KEY"}, {"OUTCOME"}, {"SHAPE"}, {"FROM"}, {"HOW"}}) {}

  // `folded`: within a module that stands for several.
  void Add(const Node& node, int depth, bool folded) {
    folded = folded || node.copies > 1;
    const std::string name =
        absl::StrCat(std::string(2 * depth, ' '), node.name);
    if (node.entry == nullptr) {
      table_.AddRow({{name, Color::kBold},
                     {node.copies > 1 ? Plural(node.copies, "layer") : ""},
                     {""},
                     {""},
                     {""}});
    } else {
      AddEntry(name, *node.entry, folded);
    }
    for (const std::unique_ptr<Node>& child : node.children) {
      Add(*child, depth + 1, folded);
    }
  }

  std::string Render() const {
    return table_.empty() ? "" : table_.Render(style_);
  }

 private:
  void AddEntry(const std::string& name, const v1::TargetEntry& entry,
                bool folded) {
    std::string from;
    if (entry.has_source() && entry.source_key() != entry.key()) {
      from = folded ? WithoutNumbers(entry.source_key()) : entry.source_key();
    }
    table_.AddRow(
        {{name},
         {OutcomeText(entry.outcome()), OutcomeColor(entry.outcome())},
         {FormatShape(entry.shape())},
         {from},
         {HowText(entry)}});
  }

  const TableStyle& style_;
  Table table_;
};

}  // namespace

std::string RenderReportTree(const v1::MatchReport& report,
                             const TableStyle& style) {
  Node root;
  for (const v1::TargetEntry& entry : report.entries()) Insert(root, entry);
  Sign(root);
  Fold(root);
  JoinChains(root);
  TreeText text(style);
  for (const std::unique_ptr<Node>& child : root.children) {
    text.Add(*child, 0, /*folded=*/false);
  }
  return text.Render();
}

}  // namespace warmstart::client
