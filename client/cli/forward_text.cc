#include "client/cli/forward_text.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/tensor_numbers.h"
#include "client/cli/text.h"
#include "nlohmann/json.hpp"

namespace warmstart::client {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kFirstValues = 8;
// Matrices with more rows are no logits to look at.
constexpr int64_t kMaxRows = 16;

struct Statistics {
  double min = 0;
  double max = 0;
  double mean = 0;
};

// Of the finite values; nothing where there is none.
std::optional<Statistics> StatisticsOf(const std::vector<double>& numbers) {
  Statistics result{INFINITY, -INFINITY, 0};
  int64_t count = 0;
  for (const double number : numbers) {
    if (!std::isfinite(number)) continue;
    result.min = std::min(result.min, number);
    result.max = std::max(result.max, number);
    result.mean += number;
    ++count;
  }
  if (count == 0) return std::nullopt;
  result.mean /= static_cast<double>(count);
  return result;
}

// The column of the largest value of each row, as torch.argmax(dim=1); empty
// where the tensor is no small matrix.
std::vector<int64_t> ArgMax(const v1::Tensor& tensor,
                            const std::vector<double>& numbers) {
  std::vector<int64_t> columns;
  if (tensor.shape_size() != 2 || tensor.shape(0) > kMaxRows ||
      numbers.empty()) {
    return columns;
  }
  const int64_t width = tensor.shape(1);
  for (int64_t row = 0; row < tensor.shape(0); ++row) {
    const auto begin = numbers.begin() + row * width;
    columns.push_back(std::max_element(begin, begin + width) - begin);
  }
  return columns;
}

std::string FirstValues(const std::vector<double>& numbers) {
  const size_t shown = std::min(numbers.size(), kFirstValues);
  return absl::StrCat(
      absl::StrJoin(numbers.begin(), numbers.begin() + shown, ", ",
                    [](std::string* out, double number) {
                      absl::StrAppendFormat(out, "%.6g", number);
                    }),
      shown < numbers.size() ? ", ..." : "");
}

std::string RenderOutput(const v1::ForwardOutput& output) {
  const v1::Tensor& tensor = output.tensor();
  std::string text =
      absl::StrCat(Printable(output.name()), "  ", Printable(tensor.dtype()),
                   " ", FormatShape(tensor.shape()), "\n");
  const absl::StatusOr<std::vector<double>> numbers = NumbersOf(tensor);
  if (!numbers.ok()) {
    return absl::StrCat(text, "  ", Printable(numbers.status().message()),
                        "\n");
  }
  if (const auto statistics = StatisticsOf(*numbers)) {
    absl::StrAppendFormat(&text, "  min %.6g, max %.6g, mean %.6g\n",
                          statistics->min, statistics->max, statistics->mean);
  }
  if (!numbers->empty()) {
    absl::StrAppend(&text, "  values ", FirstValues(*numbers), "\n");
  }
  const std::vector<int64_t> classes = ArgMax(tensor, *numbers);
  if (!classes.empty()) {
    absl::StrAppend(&text, "  argmax ", absl::StrJoin(classes, ", "), "\n");
  }
  return text;
}

Json OutputJson(const v1::ForwardOutput& output) {
  const v1::Tensor& tensor = output.tensor();
  Json json = {{"name", output.name()},
               {"dtype", tensor.dtype()},
               {"shape", std::vector<int64_t>(tensor.shape().begin(),
                                              tensor.shape().end())}};
  const absl::StatusOr<std::vector<double>> numbers = NumbersOf(tensor);
  if (!numbers.ok()) return json;
  if (const auto statistics = StatisticsOf(*numbers)) {
    json["min"] = statistics->min;
    json["max"] = statistics->max;
    json["mean"] = statistics->mean;
  }
  json["values"] = *numbers;
  const std::vector<int64_t> classes = ArgMax(tensor, *numbers);
  if (!classes.empty()) json["argmax"] = classes;
  return json;
}

}  // namespace

std::string RenderForward(const v1::ForwardResponse& response) {
  std::string text = Printable(
      absl::StrCat("ran ", response.checkpoint(), " as ",
                   response.architecture(), " on ", response.device(),
                   response.was_resident() ? ", where it was resident" : ""));
  text += "\n";
  for (const v1::ForwardOutput& output : response.outputs()) {
    absl::StrAppend(&text, RenderOutput(output));
  }
  for (const std::string& note : response.notes()) {
    absl::StrAppend(&text, "note: ", Printable(note), "\n");
  }
  return text;
}

std::string ForwardJson(const v1::ForwardResponse& response) {
  Json json = {{"checkpoint", response.checkpoint()},
               {"architecture", response.architecture()},
               {"device", response.device()},
               {"was_resident", response.was_resident()},
               {"outputs", Json::array()},
               {"notes", std::vector<std::string>(response.notes().begin(),
                                                  response.notes().end())}};
  for (const v1::ForwardOutput& output : response.outputs()) {
    json["outputs"].push_back(OutputJson(output));
  }
  return json.dump(1, ' ', /*ensure_ascii=*/false,
                   Json::error_handler_t::replace) +
         "\n";
}

}  // namespace warmstart::client
