#include "client/cli/report_text.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "client/cli/outcome_text.h"
#include "client/cli/report_tree.h"
#include "client/cli/text.h"

namespace warmstart::client {
namespace {

class ReportText {
 public:
  ReportText(const v1::MatchReport& report, const ReportOptions& options)
      : report_(report), options_(options) {}

  std::string Render() && {
    if (options_.summary) AddSummary();
    AddCoverage();
    AddCounts();
    AddSources();
    AddRules();
    AddNotes();
    AddSuggestions();
    if (options_.tree) {
      absl::StrAppend(&text_, "\n", RenderReportTree(report_, options_.style));
    } else {
      AddTable(Targets());
    }
    AddTable(UnusedSources());
    return std::move(text_);
  }

 private:
  void AddLine(Color color, absl::string_view line) {
    absl::StrAppend(
        &text_, Paint(color, PrintableLines(line), options_.style.color), "\n");
  }

  void AddSummary() {
    const bool all_matched = report_.missing_keys().empty() &&
                             report_.unexpected_keys().empty() &&
                             report_.mismatched_keys().empty();
    AddLine(all_matched ? Color::kGreen : Color::kBold, report_.summary());
    absl::StrAppend(&text_, "\n");
  }

  void AddCoverage() {
    const v1::Coverage& coverage = report_.coverage();
    AddLine(Color::kPlain,
            absl::StrCat(
                absl::StripPrefix(report_.architecture(), "architectures/"),
                ": loaded ", FormatCount(coverage.keys_loaded()), " of ",
                Plural(coverage.keys_total(), "key"), ", ",
                FormatPercent(coverage.parameter_fraction()),
                " of the parameters, ", FormatBytes(coverage.bytes_loaded()),
                " of ", FormatBytes(coverage.bytes_total())));
  }

  void AddCounts() {
    AddCountsOf("target keys: ", report_.entries());
    AddCountsOf("source keys: ", report_.source_entries());
  }

  template <typename Entries>
  void AddCountsOf(absl::string_view label, const Entries& entries) {
    using Outcome = decltype(entries.begin()->outcome());
    std::map<Outcome, int64_t> counts;
    for (const auto& entry : entries) ++counts[entry.outcome()];
    if (counts.empty()) return;
    const std::string line =
        absl::StrJoin(counts, ", ", [&](std::string* out, const auto& count) {
          absl::StrAppend(out,
                          Paint(OutcomeColor(count.first),
                                absl::StrCat(FormatCount(count.second), " ",
                                             OutcomeText(count.first)),
                                options_.style.color));
        });
    absl::StrAppend(&text_, label, line, "\n");
  }

  // A legend for the numbers in the table, where there are several sources; the
  // subtree that was taken, where there is one.
  void AddSources() {
    const int count = std::max<int>(report_.subtrees_size(),
                                    static_cast<int>(options_.sources.size()));
    for (int i = 0; i < count; ++i) {
      const std::string subtree =
          i < report_.subtrees_size() ? report_.subtrees(i) : "";
      if (count == 1 && subtree.empty()) continue;
      const bool named = i < static_cast<int>(options_.sources.size());
      AddLine(Color::kPlain,
              absl::StrCat(
                  count > 1 ? absl::StrCat("source [", i + 1, "]") : "source",
                  named ? absl::StrCat(" ", options_.sources[i]) : "",
                  subtree.empty() ? "" : absl::StrCat(", subtree ", subtree)));
    }
  }

  void AddRules() {
    for (const v1::RuleUse& use : report_.rules()) {
      AddLine(
          Color::kPlain,
          absl::StrCat(use.automatic() ? "automatic rule " : "rule ",
                       use.rule(), ": changed ", Plural(use.keys(), "key")));
    }
  }

  void AddNotes() {
    for (const std::string& note : report_.notes()) {
      AddLine(Color::kYellow, absl::StrCat("note: ", note));
    }
  }

  void AddSuggestions() {
    for (const v1::RuleSuggestion& suggestion : report_.suggestions()) {
      AddLine(Color::kYellow,
              absl::StrCat("try ", suggestion.rule(), ": ",
                           Plural(suggestion.keys(), "more key"), ", ",
                           Plural(suggestion.parameters(), "parameter")));
    }
  }

  void AddTable(const Table& table) {
    if (table.empty()) return;
    absl::StrAppend(&text_, "\n", table.Render(options_.style));
  }

  Table Targets() const {
    Table table(
        {{"OUTCOME"}, {"KEY"}, {"SHAPE"}, {"DTYPE"}, {"FROM"}, {"HOW"}});
    for (const v1::TargetEntry& entry : report_.entries()) {
      const Color color = OutcomeColor(entry.outcome());
      table.AddRow({{OutcomeText(entry.outcome()), color},
                    {entry.key()},
                    {FormatShape(entry.shape())},
                    {entry.dtype()},
                    {From(entry)},
                    {HowText(entry)}});
    }
    return table;
  }

  // The source key, with what is different about it.
  std::string From(const v1::TargetEntry& entry) const {
    if (!entry.has_source()) return "";
    std::string from =
        absl::StrCat(SourceNumber(entry.source()), entry.source_key());
    const bool reshaped =
        !std::equal(entry.shape().begin(), entry.shape().end(),
                    entry.source_shape().begin(), entry.source_shape().end());
    if (reshaped) {
      absl::StrAppend(&from, " ", FormatShape(entry.source_shape()));
    }
    if (entry.dtype() != entry.source_dtype()) {
      absl::StrAppend(&from, " ", entry.source_dtype());
    }
    if (!entry.more_sources().empty()) {
      absl::StrAppend(&from, " and ", entry.more_sources_size(), " more");
    }
    return from;
  }

  // Those that were not loaded.
  Table UnusedSources() const {
    Table table({{"NOT LOADED"}, {"KEY"}, {"SHAPE"}, {"DTYPE"}});
    for (const v1::SourceEntry& entry : report_.source_entries()) {
      if (entry.outcome() == v1::SOURCE_OUTCOME_USED) continue;
      table.AddRow(
          {{OutcomeText(entry.outcome()), OutcomeColor(entry.outcome())},
           {absl::StrCat(SourceNumber(entry.source()), entry.key())},
           {FormatShape(entry.shape())},
           {entry.dtype()}});
    }
    return table;
  }

  // "[1] " for the first of several.
  std::string SourceNumber(int index) const {
    return report_.subtrees_size() > 1 ? absl::StrCat("[", index + 1, "] ")
                                       : "";
  }

  const v1::MatchReport& report_;
  const ReportOptions& options_;
  std::string text_;
};

}  // namespace

std::string RenderReport(const v1::MatchReport& report,
                         const ReportOptions& options) {
  return ReportText(report, options).Render();
}

}  // namespace warmstart::client
