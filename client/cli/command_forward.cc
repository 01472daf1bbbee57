#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/command.h"
#include "client/cli/forward_text.h"
#include "client/cli/text.h"
#include "client/cli/usage_error.h"
#include "client/cli/values.h"
#include "client/cpp/atomic_file.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr Flag kFlags[] = {
    {.name = "input",
     .value = "FILE",
     .help = "The inputs, as torch.save or safetensors wrote them: a list of "
             "tensors, or a dict of them by name.",
     .letter = 'i'},
    {.name = "random-input",
     .value = "[NAME=]SHAPE[:DTYPE]",
     .help =
         "For a smoke test: an input that the server draws, as torch.randn "
         "or, for integers, torch.randint. SHAPE is 1x3x32x32, or 1,3,32,32.",
     .repeated = true},
    {.name = "seed",
     .value = "N",
     .help = "Seed of the first random input; the next has N + 1. Default: 0."},
    {.name = "high",
     .value = "N",
     .help = "One above the largest of random integers. Default: 2."},
    {.name = "architecture",
     .value = "NAME",
     .help = "What to run the checkpoint as. Default: what it was saved as."},
    {.name = "device",
     .value = "DEVICE",
     .help = "Where it runs: cpu, cuda, cuda:N, auto. Default: as the server "
             "was started."},
    {.name = "output",
     .value = "FILE",
     .help = "Writes the outputs to a file, a dict by name, instead of showing "
             "them.",
     .letter = 'o'},
    {.name = "format",
     .value = "torch|safetensors",
     .help = "Of the output file. Default: torch."},
};

absl::Status BadShape(absl::string_view text) {
  return UsageError(absl::StrCat("--random-input ", text,
                                 " is not [NAME=]SHAPE[:DTYPE], as in "
                                 "1x3x32x32 or tokens=1x16:int64"));
}

// "1x3", "1,3"; "" is a scalar.
bool ParseShape(absl::string_view text, v1::RandomTensor* tensor) {
  if (text.empty()) return true;
  for (absl::string_view part : absl::StrSplit(text, absl::ByAnyChar("x,"))) {
    int64_t size = 0;
    if (part.empty() || !absl::ascii_isdigit(part[0]) ||
        !absl::SimpleAtoi(part, &size)) {
      return false;
    }
    tensor->add_shape(size);
  }
  return true;
}

absl::Status AddRandomInput(absl::string_view text, uint64_t seed,
                            std::optional<uint64_t> high,
                            v1::ForwardRequest* request) {
  v1::ForwardInput* input = request->add_inputs();
  v1::RandomTensor* tensor = input->mutable_random();
  absl::string_view rest = text;
  if (const size_t equals = rest.find('='); equals != rest.npos) {
    if (equals == 0) return BadShape(text);
    input->set_name(std::string(rest.substr(0, equals)));
    rest.remove_prefix(equals + 1);
  }
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(rest, absl::MaxSplits(':', 1));
  if (!ParseShape(parts.first, tensor)) return BadShape(text);
  tensor->set_dtype(std::string(parts.second));
  tensor->set_seed(seed);
  const bool is_integer = absl::StrContains(parts.second, "int");
  if (high.has_value() && is_integer) {
    tensor->set_high(static_cast<int64_t>(*high));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadInput(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (!file.good() && !file.eof()) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  if (bytes.empty()) {
    return absl::NotFoundError(
        absl::StrCat(path, " is empty, or is not there"));
  }
  return bytes;
}

absl::StatusOr<v1::ForwardRequest> BuildRequest(const Arguments& arguments) {
  v1::ForwardRequest request;
  request.set_checkpoint(arguments.positional().front());
  request.set_architecture(arguments.Get("architecture").value_or(""));
  request.set_device(arguments.Get("device").value_or(""));
  const std::vector<std::string> random = arguments.All("random-input");
  const std::optional<std::string> file = arguments.Get("input");
  if (random.empty() != file.has_value()) {
    return UsageError(
        "the inputs: either --input FILE or --random-input SHAPE");
  }
  CLIENT_ASSIGN_OR_RETURN(const std::optional<uint64_t> seed,
                          Uint64Value(arguments, "seed"));
  CLIENT_ASSIGN_OR_RETURN(const std::optional<uint64_t> high,
                          Uint64Value(arguments, "high"));
  for (size_t i = 0; i < random.size(); ++i) {
    CLIENT_RETURN_IF_ERROR(
        AddRandomInput(random[i], seed.value_or(0) + i, high, &request));
  }
  if (file.has_value()) {
    CLIENT_ASSIGN_OR_RETURN(*request.mutable_input_file(), ReadInput(*file));
  }
  if (arguments.Has("output")) {
    request.set_output_format(arguments.Get("format") == "safetensors"
                                  ? v1::FILE_FORMAT_SAFETENSORS
                                  : v1::FILE_FORMAT_TORCH);
  } else if (arguments.Has("format")) {
    return UsageError(
        "--format is of the file that -o names, which is missing");
  }
  return request;
}

absl::Status WriteOutput(const std::string& bytes, const std::string& path) {
  CLIENT_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  CLIENT_RETURN_IF_ERROR(file.Append(bytes));
  return file.Commit();
}

absl::Status Run(const Arguments& arguments, Session& session) {
  CLIENT_ASSIGN_OR_RETURN(const v1::ForwardRequest request,
                          BuildRequest(arguments));
  CLIENT_ASSIGN_OR_RETURN(const v1::ForwardResponse response,
                          session.client().Forward(request));
  const std::optional<std::string> path = arguments.Get("output");
  if (path.has_value()) {
    CLIENT_RETURN_IF_ERROR(WriteOutput(response.output_file(), *path));
  }
  if (session.json()) {
    session.Print(ForwardJson(response));
    return absl::OkStatus();
  }
  session.Print(RenderForward(response));
  if (path.has_value()) {
    session.Print(
        Printable(absl::StrCat("wrote the outputs to ", *path, ": ",
                               FormatBytes(response.output_file().size()))) +
        "\n");
  }
  return absl::OkStatus();
}

}  // namespace

const Command kForwardCommand = {
    .name = "forward",
    .synopsis = "HANDLE (--input FILE | --random-input SHAPE) [flags]",
    .summary = "Run a checkpoint on inputs.",
    .details =
        "The model runs in evaluation mode, as it is on the server; it stays "
        "there for the next call. Each output is shown with its range, its "
        "mean and its first values; --json has all values.",
    .example =
        "warmstart forward aliases/demo/net-b --random-input 1x3x32x32\n"
        "warmstart forward checkpoints/ab12 --input batch.pt -o logits.pt",
    .flags = kFlags,
    .min_positional = 1,
    .max_positional = 1,
    .run = Run,
};

}  // namespace warmstart::client
