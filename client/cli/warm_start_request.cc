#include "client/cli/warm_start_request.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/cli/expiration.h"
#include "client/cli/matching_flags.h"
#include "client/cli/usage_error.h"
#include "client/cli/values.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr Flag kFlags[] = {
    {.name = "from",
     .value = "HANDLE",
     .help = "A checkpoint to load from. Where several have a key, the first "
             "wins.",
     .repeated = true},
    {.name = "subtree",
     .value = "PATH",
     .help = "Where the model is inside the --from before it: model_state, "
             "nets.encoder. Without it, the server looks where people keep "
             "models, and says what it took.",
     .repeated = true},
    {.name = "rename",
     .value = "OLD=NEW",
     .help = "Source key OLD feeds target key NEW.",
     .repeated = true},
    {.name = "rename-regex",
     .value = "RE=REPL",
     .help = "Replaces every match of an RE2 expression in source keys; \\1 to "
             "\\9 stand for its groups. Write \\x3d for a \"=\" in RE.",
     .repeated = true},
    {.name = "strip-prefix",
     .value = "PREFIX",
     .help = "Takes a prefix off the source keys that have it.",
     .repeated = true},
    {.name = "add-prefix",
     .value = "PREFIX",
     .help = "Puts a prefix before all source keys.",
     .repeated = true},
    {.name = "template",
     .value = "TO=FROM",
     .help =
         "Target keys that look like TO come from the source keys that FROM "
         "makes of their holes: h.{i}.{rest*}=h.{2*i}.{rest*}.",
     .repeated = true},
    {.name = "rule",
     .value = "JSON",
     .help = "Any key rule, as reports print those that have no short form.",
     .repeated = true},
    {.name = "rules",
     .value = "FILE",
     .help = "Key rules and more from a JSON or YAML file; see "
             "docs/matching.md.",
     .repeated = true},
    {.name = "invert",
     .help =
         "Undoes the rules instead, last first: back to the layout that the "
         "checkpoint came in."},
    {.name = "match",
     .value = "exact|auto",
     .help = "auto: where keys do not match, takes off what frameworks put "
             "before them, then tries suffixes, then shapes in order; the "
             "report has the rules that it found."},
    {.name = "combine",
     .value = "WAY",
     .help = "How several sources become one: overlay (the default), average, "
             "moving-average=DECAY, slerp=T, task-arithmetic."},
    {.name = "weight",
     .value = "W",
     .help = "Weight of the --from before it, for --combine.",
     .repeated = true},
    {.name = "lora",
     .value = "ALPHA[,rslora]",
     .help = "The --from before it is a LoRA adapter, which is merged into the "
             "others.",
     .repeated = true},
    {.name = "adapt",
     .value = "GLOB=ADAPTER",
     .help = "How tensors of another shape are made to fit, by target key: "
             "auto, rows, rows:mean, input_channels, inflate, "
             "position_embedding, position_embedding_1d, "
             "relative_position_bias, patch_embedding, slice_and_pad.",
     .repeated = true},
    {.name = "init",
     .value = "GLOB=INITIALIZER",
     .help =
         "How target keys that are not loaded are initialized: a function of "
         "torch.nn.init with its arguments, as trunc_normal(std=0.02), zeros, "
         "constant(0.5); short: constant:V, normal:STD, uniform:BOUND.",
     .repeated = true},
    {.name = "include",
     .value = "GLOB",
     .help = "Loads only source keys that match (before any renaming).",
     .repeated = true},
    {.name = "exclude",
     .value = "GLOB",
     .help = "Loads no source keys that match.",
     .repeated = true},
    {.name = "strict", .help = "Any missing or unexpected key is an error."},
    {.name = "on-shape-mismatch",
     .value = "error|skip|adapt",
     .help = "A source tensor of another shape is an error, as in PyTorch (the "
             "default), left out, or adapted as its key and shape suggest."},
    {.name = "on-dtype-mismatch",
     .value = "cast|keep|error",
     .help = "A source tensor of another dtype is converted, as in PyTorch "
             "(the default), kept as it is, or an error."},
    {.name = "min-coverage",
     .value = "FRACTION",
     .help = "An error where less of the target's parameters is loaded; 0 to "
             "1."},
    {.name = "coverage",
     .value = "GLOB=FRACTION",
     .help = "The same for a part of the target: backbone.*=1.0.",
     .repeated = true},
    {.name = "expect-missing",
     .value = "RE",
     .help = "Target keys that may be missing (RE2, searched in the key).",
     .repeated = true},
    {.name = "expect-unexpected",
     .value = "RE",
     .help = "Source keys that may be left over.",
     .repeated = true},
    {.name = "refuse-non-finite",
     .help = "An error where what is loaded holds a NaN or an infinity."},
    {.name = "device",
     .value = "DEVICE",
     .help = "Where the load is performed: cpu, cuda, cuda:N, auto. Default: "
             "as the server was started."},
    {.name = "seed",
     .value = "N",
     .help = "Seed of what is initialized. Default: the server draws one and "
             "records it."},
    {.name = "dry-run", .help = "Reports, and stores nothing."},
    {.name = "alias",
     .value = "NAME",
     .help = "An alias to set to the new checkpoint."},
    {.name = "label",
     .value = "KEY=VALUE",
     .help = "A label of the new checkpoint.",
     .repeated = true},
    kTtlFlag,
    kExpireTimeFlag,
    {.name = "request-id",
     .value = "ID",
     .help = "Running the command again with the same ID gives the same "
             "checkpoint. Default: a new one for each run."},
    {.name = "tree",
     .help = "Report by module, repeated layers folded, instead of by key."},
    {.name = "quiet", .help = "Print the new handle alone.", .letter = 'q'},
};

// Sources and key rules: their order on the command line is their order in the
// request, across kinds.
class OrderedFlags {
 public:
  explicit OrderedFlags(v1::WarmStartRequest& request) : request_(request) {}

  absl::Status Take(const FlagUse& use) {
    if (use.name == "from") return TakeFrom(use.value);
    if (use.name == "subtree") return TakeSubtree(use.value);
    if (use.name == "rename") return TakeRename(use.value);
    if (use.name == "rename-regex") return TakeRegex(use.value);
    if (use.name == "weight") return TakeWeight(use.value);
    if (use.name == "lora") return TakeLora(use.value);
    if (use.name == "template") return TakeRule(ParseTemplate(use.value));
    if (use.name == "rule") return TakeRule(ParseRule(use.value));
    if (use.name == "rules") return ReadRulesFile(use.value, request_);
    if (use.name == "strip-prefix") {
      request_.add_key_rules()->set_strip_prefix(use.value);
    } else if (use.name == "add-prefix") {
      request_.add_key_rules()->set_add_prefix(use.value);
    }
    return absl::OkStatus();
  }

 private:
  absl::Status TakeFrom(const std::string& handle) {
    request_.add_sources()->set_checkpoint(handle);
    return absl::OkStatus();
  }

  // The source that `flag`, which stands behind it, says something of.
  absl::StatusOr<v1::Source*> LastSource(absl::string_view flag) {
    const int count = request_.sources_size();
    if (count > 0) return request_.mutable_sources(count - 1);
    return UsageError(
        absl::StrCat(flag, " comes after the --from that it belongs to"));
  }

  static absl::Status GivenTwice(absl::string_view flag) {
    return UsageError(absl::StrCat(flag, " is given twice for one --from"));
  }

  absl::Status TakeSubtree(const std::string& path) {
    CLIENT_ASSIGN_OR_RETURN(v1::Source* const source, LastSource("--subtree"));
    if (!source->subtree().empty()) return GivenTwice("--subtree");
    source->set_subtree(path);
    return absl::OkStatus();
  }

  absl::Status TakeWeight(const std::string& text) {
    CLIENT_ASSIGN_OR_RETURN(v1::Source* const source, LastSource("--weight"));
    if (source->has_weight()) return GivenTwice("--weight");
    double weight = 0;
    if (!absl::SimpleAtod(text, &weight)) {
      return UsageError(absl::StrCat("--weight: '", text, "' is no number"));
    }
    source->set_weight(weight);
    return absl::OkStatus();
  }

  absl::Status TakeLora(const std::string& text) {
    CLIENT_ASSIGN_OR_RETURN(v1::Source* const source, LastSource("--lora"));
    if (source->has_lora()) return GivenTwice("--lora");
    CLIENT_ASSIGN_OR_RETURN(*source->mutable_lora(), ParseLora(text));
    return absl::OkStatus();
  }

  absl::Status TakeRule(absl::StatusOr<v1::KeyRule> rule) {
    if (!rule.ok()) return std::move(rule).status();
    *request_.add_key_rules() = *std::move(rule);
    return absl::OkStatus();
  }

  absl::Status TakeRename(const std::string& text) {
    CLIENT_ASSIGN_OR_RETURN(const auto names,
                            ParsePair("--rename", "OLD=NEW", text));
    v1::KeyRule::Rename& rename = *request_.add_key_rules()->mutable_rename();
    rename.set_from(names.first);
    rename.set_to(names.second);
    return absl::OkStatus();
  }

  absl::Status TakeRegex(const std::string& text) {
    CLIENT_ASSIGN_OR_RETURN(const auto parts,
                            ParsePair("--rename-regex", "RE=REPL", text));
    v1::KeyRule::Regex& regex = *request_.add_key_rules()->mutable_regex();
    regex.set_pattern(parts.first);
    regex.set_replacement(parts.second);
    return absl::OkStatus();
  }

  v1::WarmStartRequest& request_;
};

// The policies, where they are given: a rules file may have set them.
void TakePolicies(const Arguments& arguments, v1::WarmStartRequest& request) {
  const std::string shape = arguments.Get("on-shape-mismatch").value_or("");
  if (shape == "error") {
    request.set_on_shape_mismatch(v1::SHAPE_MISMATCH_POLICY_ERROR);
  } else if (shape == "skip") {
    request.set_on_shape_mismatch(v1::SHAPE_MISMATCH_POLICY_SKIP);
  } else if (shape == "adapt") {
    request.set_on_shape_mismatch(v1::SHAPE_MISMATCH_POLICY_ADAPT);
  }
  const std::string dtype = arguments.Get("on-dtype-mismatch").value_or("");
  if (dtype == "cast") {
    request.set_on_dtype_mismatch(v1::DTYPE_MISMATCH_POLICY_CAST);
  } else if (dtype == "keep") {
    request.set_on_dtype_mismatch(v1::DTYPE_MISMATCH_POLICY_KEEP);
  } else if (dtype == "error") {
    request.set_on_dtype_mismatch(v1::DTYPE_MISMATCH_POLICY_ERROR);
  }
  const std::string match = arguments.Get("match").value_or("");
  if (match == "exact") request.set_key_matching(v1::KEY_MATCHING_EXACT);
  if (match == "auto") request.set_key_matching(v1::KEY_MATCHING_AUTO);
  if (arguments.Has("invert")) request.set_invert_key_rules(true);
  if (arguments.Has("strict")) request.set_strict(true);
  if (arguments.Has("refuse-non-finite")) request.set_refuse_non_finite(true);
}

// Adds what `parse` makes of each value of a flag to a field.
template <typename Message, typename Parse>
absl::Status TakeAll(const Arguments& arguments, absl::string_view flag,
                     Parse parse,
                     google::protobuf::RepeatedPtrField<Message>* field) {
  for (const std::string& text : arguments.All(flag)) {
    CLIENT_ASSIGN_OR_RETURN(*field->Add(), parse(text));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> AsItIs(const std::string& text) { return text; }

absl::Status TakeMatching(const Arguments& arguments,
                          v1::WarmStartRequest& request) {
  CLIENT_RETURN_IF_ERROR(
      TakeAll(arguments, "include", AsItIs, request.mutable_include()));
  CLIENT_RETURN_IF_ERROR(
      TakeAll(arguments, "exclude", AsItIs, request.mutable_exclude()));
  CLIENT_RETURN_IF_ERROR(TakeAll(arguments, "adapt", ParseAdapter,
                                 request.mutable_shape_adapters()));
  CLIENT_RETURN_IF_ERROR(TakeAll(arguments, "init", ParseInitializer,
                                 request.mutable_initializers()));
  CLIENT_RETURN_IF_ERROR(TakeAll(arguments, "coverage", ParseCoverageGate,
                                 request.mutable_coverage_gates()));
  CLIENT_RETURN_IF_ERROR(TakeAll(arguments, "expect-missing", AsItIs,
                                 request.mutable_expected_missing()));
  CLIENT_RETURN_IF_ERROR(TakeAll(arguments, "expect-unexpected", AsItIs,
                                 request.mutable_expected_unexpected()));
  if (const auto combination = arguments.Get("combine")) {
    CLIENT_ASSIGN_OR_RETURN(*request.mutable_combination(),
                            ParseCombination(*combination));
  }
  TakePolicies(arguments, request);
  return absl::OkStatus();
}

absl::Status TakeNumbers(const Arguments& arguments,
                         v1::WarmStartRequest& request) {
  CLIENT_ASSIGN_OR_RETURN(const std::optional<double> min_coverage,
                          FractionValue(arguments, "min-coverage"));
  if (min_coverage.has_value()) request.set_min_coverage(*min_coverage);
  CLIENT_ASSIGN_OR_RETURN(const std::optional<uint64_t> seed,
                          Uint64Value(arguments, "seed"));
  if (seed.has_value()) request.set_seed(*seed);
  return absl::OkStatus();
}

}  // namespace

absl::Span<const Flag> WarmStartFlags() { return kFlags; }

absl::StatusOr<v1::WarmStartRequest> BuildWarmStartRequest(
    const Arguments& arguments) {
  v1::WarmStartRequest request;
  request.set_architecture(arguments.positional().front());
  OrderedFlags ordered(request);
  for (const FlagUse& use : arguments.uses()) {
    CLIENT_RETURN_IF_ERROR(ordered.Take(use));
  }
  if (request.sources().empty()) {
    return UsageError("--from HANDLE is missing: what to start from");
  }
  CLIENT_RETURN_IF_ERROR(TakeMatching(arguments, request));
  CLIENT_RETURN_IF_ERROR(TakeNumbers(arguments, request));
  request.set_device(arguments.Get("device").value_or(""));
  request.set_validate_only(arguments.Has("dry-run"));
  CLIENT_ASSIGN_OR_RETURN(const auto labels,
                          ParseLabels("--label", arguments.All("label")));
  request.mutable_labels()->insert(labels.begin(), labels.end());
  CLIENT_ASSIGN_OR_RETURN(const Expiration expiration,
                          ExpirationValue(arguments));
  SetExpiration(expiration, request);
  request.set_alias(arguments.Get("alias").value_or(""));
  request.set_request_id(arguments.Get("request-id").value_or(""));
  return request;
}

}  // namespace warmstart::client
