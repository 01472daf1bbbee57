#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "client/cli/checkpoint_text.h"
#include "client/cli/command.h"
#include "client/cli/json.h"
#include "client/cli/text.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr Flag kFlags[] = {
    {.name = "direct",
     .help = "That checkpoint alone, from its sources as they are stored."},
};

std::string VerdictText(v1::ReproductionVerdict verdict) {
  const std::string name = v1::ReproductionVerdict_Name(verdict);
  return name.empty() ? absl::StrCat("verdict ", verdict)
                      : absl::AsciiStrToLower(
                            absl::StripPrefix(name, "REPRODUCTION_VERDICT_"));
}

Color VerdictColor(v1::ReproductionVerdict verdict) {
  switch (verdict) {
    case v1::REPRODUCTION_VERDICT_AGREES:
      return Color::kGreen;
    case v1::REPRODUCTION_VERDICT_DIFFERS:
      return Color::kRed;
    default:
      return Color::kYellow;
  }
}

// "10 keys", "2 of 10 keys differ: fc3.weight, fc3.bias"
std::string KeysText(const v1::ReproduceCheckpointResponse& result) {
  if (result.differing_key_count() == 0) {
    return Plural(result.key_count(), "key");
  }
  return absl::StrCat(
      FormatCount(result.differing_key_count()), " of ",
      Plural(result.key_count(), "key"),
      " differ: ", absl::StrJoin(result.differing_keys(), ", "),
      result.differing_key_count() > result.differing_keys_size() ? ", ..."
                                                                  : "");
}

// Shows results as they come, and counts them.
class Results {
 public:
  explicit Results(const Session& session) : session_(session) {}

  void Add(const v1::ReproduceCheckpointResponse& result) {
    agrees_ += result.verdict() == v1::REPRODUCTION_VERDICT_AGREES;
    differs_ += result.verdict() == v1::REPRODUCTION_VERDICT_DIFFERS;
    ++total_;
    if (session_.json()) {
      session_.Print(total_ == 1 ? "[" : ",\n");
      session_.Print(absl::StripTrailingAsciiWhitespace(ToJson(result)));
    } else {
      Show(result);
    }
    session_.console().out << std::flush;
  }

  // Whatever ended the stream: what was printed is whole.
  void End() {
    if (session_.json()) session_.Print(total_ == 0 ? "[]\n" : "]\n");
  }

  absl::Status Verdict() const {
    const std::string of = absl::StrCat(" of ", Plural(total_, "checkpoint"));
    if (differs_ > 0) {
      return absl::DataLossError(absl::StrCat(differs_, of, " differ"));
    }
    if (agrees_ < total_) {
      return absl::FailedPreconditionError(
          absl::StrCat(total_ - agrees_, of, " could not be made again"));
    }
    return absl::OkStatus();
  }

 private:
  void Show(const v1::ReproduceCheckpointResponse& result) {
    std::string verdict = VerdictText(result.verdict());
    verdict.resize(9, ' ');
    std::vector<std::string> facts;
    if (result.key_count() > 0) facts.push_back(KeysText(result));
    if (result.has_origin()) facts.push_back(OriginText(result.origin()));
    if (!result.reason().empty()) facts.push_back(result.reason());
    session_.Print(
        absl::StrCat(Paint(VerdictColor(result.verdict()), verdict,
                           session_.table_style().color),
                     Printable(absl::StrCat(result.checkpoint(), ": ",
                                            absl::StrJoin(facts, "; "))),
                     "\n"));
  }

  const Session& session_;
  int64_t total_ = 0;
  int64_t agrees_ = 0;
  int64_t differs_ = 0;
};

absl::Status Run(const Arguments& arguments, Session& session) {
  v1::ReproduceCheckpointRequest request;
  request.set_name(arguments.positional().front());
  request.set_direct(arguments.Has("direct"));
  Results results(session);
  const absl::Status status = session.client().ReproduceCheckpoint(
      request, [&](const v1::ReproduceCheckpointResponse& result) {
        results.Add(result);
      });
  results.End();
  CLIENT_RETURN_IF_ERROR(status);
  return results.Verdict();
}

}  // namespace

const Command kReproduceCommand = {
    .name = "reproduce",
    .synopsis = "HANDLE [--direct]",
    .summary = "Make a checkpoint again and compare the digests.",
    .details =
        "Makes the checkpoint, and all that it was made from, once more: warm "
        "starts from their recorded requests, fresh models from their seeds; "
        "of uploads, every byte is read. Nothing is stored. Exit code 0 if "
        "every key of every checkpoint has the same digest, 1 if not. With "
        "--json, prints a list.",
    .example = "warmstart reproduce aliases/demo/net-b",
    .flags = kFlags,
    .min_positional = 1,
    .max_positional = 1,
    .run = Run,
};

}  // namespace warmstart::client
