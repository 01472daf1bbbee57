#include "client/cli/warm_start_request.h"

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
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
     .value = "error|skip",
     .help = "A source tensor of another shape is an error, as in PyTorch (the "
             "default), or the target's is initialized."},
    {.name = "on-dtype-mismatch",
     .value = "cast|keep|error",
     .help = "A source tensor of another dtype is converted, as in PyTorch "
             "(the default), kept as it is, or an error."},
    {.name = "min-coverage",
     .value = "FRACTION",
     .help = "An error where less of the target's parameters is loaded; 0 to "
             "1."},
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
    {.name = "request-id",
     .value = "ID",
     .help = "Running the command again with the same ID gives the same "
             "checkpoint. Default: a new one for each run."},
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

  absl::Status TakeSubtree(const std::string& path) {
    const int count = request_.sources_size();
    if (count == 0) {
      return UsageError("--subtree comes after the --from that it belongs to");
    }
    v1::Source& source = *request_.mutable_sources(count - 1);
    if (!source.subtree().empty()) {
      return UsageError("--subtree is given twice for one --from");
    }
    source.set_subtree(path);
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

v1::ShapeMismatchPolicy ShapePolicy(const Arguments& arguments) {
  const std::string policy = arguments.Get("on-shape-mismatch").value_or("");
  if (policy == "error") return v1::SHAPE_MISMATCH_POLICY_ERROR;
  if (policy == "skip") return v1::SHAPE_MISMATCH_POLICY_SKIP;
  return v1::SHAPE_MISMATCH_POLICY_UNSPECIFIED;
}

v1::DtypeMismatchPolicy DtypePolicy(const Arguments& arguments) {
  const std::string policy = arguments.Get("on-dtype-mismatch").value_or("");
  if (policy == "cast") return v1::DTYPE_MISMATCH_POLICY_CAST;
  if (policy == "keep") return v1::DTYPE_MISMATCH_POLICY_KEEP;
  if (policy == "error") return v1::DTYPE_MISMATCH_POLICY_ERROR;
  return v1::DTYPE_MISMATCH_POLICY_UNSPECIFIED;
}

absl::Status TakeNumbers(const Arguments& arguments,
                         v1::WarmStartRequest& request) {
  CLIENT_ASSIGN_OR_RETURN(const std::optional<double> min_coverage,
                          FractionValue(arguments, "min-coverage"));
  request.set_min_coverage(min_coverage.value_or(0));
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
  for (const std::string& glob : arguments.All("include")) {
    request.add_include(glob);
  }
  for (const std::string& glob : arguments.All("exclude")) {
    request.add_exclude(glob);
  }
  request.set_strict(arguments.Has("strict"));
  request.set_on_shape_mismatch(ShapePolicy(arguments));
  request.set_on_dtype_mismatch(DtypePolicy(arguments));
  CLIENT_RETURN_IF_ERROR(TakeNumbers(arguments, request));
  request.set_device(arguments.Get("device").value_or(""));
  request.set_validate_only(arguments.Has("dry-run"));
  CLIENT_ASSIGN_OR_RETURN(const auto labels,
                          ParseLabels("--label", arguments.All("label")));
  request.mutable_labels()->insert(labels.begin(), labels.end());
  request.set_alias(arguments.Get("alias").value_or(""));
  request.set_request_id(arguments.Get("request-id").value_or(""));
  return request;
}

}  // namespace warmstart::client
