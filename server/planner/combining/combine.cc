#include "server/planner/combining/combine.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/planner/value_types.h"

namespace warmstart::planner {
namespace {

// A source's tensor for a certain key of the target.
struct Candidate {
  size_t source;
  const NamedTensor* tensor;
};
using Candidates = std::vector<Candidate>;  // in the sources' order

std::vector<size_t> CombinedSources(const PlanRequest& request) {
  std::vector<size_t> sources;
  for (size_t s = 0; s < request.sources.size(); ++s) {
    if (!request.sources[s].lora.has_value()) sources.push_back(s);
  }
  return sources;
}

double SumOfWeights(const PlanRequest& request) {
  double sum = 0;
  for (size_t s : CombinedSources(request)) sum += request.sources[s].weight;
  return sum;
}

// Makes one value of the candidates for a key, of which there are two or more,
// or one of a combination that is not an overlay.
class Combiner {
 public:
  Combiner(const PlanRequest& request, const Candidates& candidates,
           size_t sources)
      : request_(request), candidates_(candidates), sources_(sources) {}

  absl::StatusOr<DerivationPtr> operator()(const Overlay&) const {
    return candidates_[0].tensor->value;
  }

  absl::StatusOr<DerivationPtr> operator()(
      const WeightedAverage& average) const {
    std::vector<double> weights;
    double sum = 0;
    for (const Candidate& candidate : candidates_) {
      weights.push_back(request_.sources[candidate.source].weight);
      sum += weights.back();
    }
    const bool all = candidates_.size() == sources_;
    if (average.normalize || !all) {
      const double total = average.normalize ? 1 : SumOfWeights(request_);
      if (sum == 0) {
        return InvalidField(
            "sources.weight",
            absl::StrCat("the weights of the sources that have "
                         "'",
                         candidates_[0].tensor->key, "' sum to 0"));
      }
      for (double& weight : weights) weight = weight / sum * total;
    }
    return Weighted(std::move(weights));
  }

  // average = decay * average + (1 - decay) * source, unrolled.
  absl::StatusOr<DerivationPtr> operator()(const MovingAverage& moving) const {
    std::vector<double> weights(candidates_.size());
    double rest = 1;
    for (size_t i = weights.size() - 1; i > 0; --i) {
      weights[i] = rest * (1 - moving.decay);
      rest *= moving.decay;
    }
    weights[0] = rest;
    return Weighted(std::move(weights));
  }

  absl::StatusOr<DerivationPtr> operator()(
      const SphericalInterpolation& slerp) const {
    if (candidates_.size() < 2) return candidates_[0].tensor->value;
    return Derive(SlerpOp{slerp.t}, Values());
  }

  // base + sum of weight * (source - base). Without the base there is nothing
  // to take a difference from.
  absl::StatusOr<DerivationPtr> operator()(const TaskArithmetic&) const {
    if (candidates_[0].source != CombinedSources(request_)[0]) {
      return candidates_[0].tensor->value;
    }
    std::vector<double> weights = {1};
    for (size_t i = 1; i < candidates_.size(); ++i) {
      weights.push_back(request_.sources[candidates_[i].source].weight);
      weights[0] -= weights.back();
    }
    return Weighted(std::move(weights));
  }

 private:
  std::vector<DerivationPtr> Values() const {
    std::vector<DerivationPtr> values;
    for (const Candidate& candidate : candidates_) {
      values.push_back(candidate.tensor->value);
    }
    return values;
  }

  absl::StatusOr<DerivationPtr> Weighted(std::vector<double> weights) const {
    if (weights.size() == 1 && weights[0] == 1) {
      return candidates_[0].tensor->value;
    }
    return Derive(LinearCombinationOp{std::move(weights)}, Values());
  }

  const PlanRequest& request_;
  const Candidates& candidates_;
  const size_t sources_;
};

absl::Status CheckShapes(const PlanRequest& request,
                         const Candidates& candidates) {
  const NamedTensor& first = *candidates[0].tensor;
  for (const Candidate& candidate : candidates) {
    const Shape& shape = candidate.tensor->value->spec.shape();
    if (shape == first.value->spec.shape()) continue;
    return WithErrorInfo(
        absl::InvalidArgumentError(absl::StrCat(
            "'", first.key, "' is ", first.value->spec.shape().ToString(),
            " in ", request.sources[candidates[0].source].name, " and ",
            shape.ToString(), " in ", request.sources[candidate.source].name,
            ": tensors of different shapes cannot be combined")),
        reason::kInvalidField, {{"key", first.key}});
  }
  return absl::OkStatus();
}

bool AllFractional(const Candidates& candidates) {
  return std::all_of(
      candidates.begin(), candidates.end(), [](const Candidate& candidate) {
        return IsFractional(candidate.tensor->value->spec.dtype());
      });
}

absl::StatusOr<Supply> CombineKey(const PlanRequest& request,
                                  const Candidates& candidates,
                                  size_t sources) {
  Supply supply;
  if (std::holds_alternative<Overlay>(request.combination) ||
      !AllFractional(candidates)) {
    supply.value = candidates[0].tensor->value;
    supply.rules = candidates[0].tensor->rules;
    return supply;
  }
  RETURN_IF_ERROR(CheckShapes(request, candidates));
  ASSIGN_OR_RETURN(
      supply.value,
      std::visit(Combiner(request, candidates, sources), request.combination));
  for (const Candidate& candidate : candidates) {
    AddRules(candidate.tensor->rules, &supply.rules);
  }
  return supply;
}

absl::Status CheckFinite(absl::string_view field, double value) {
  if (std::isfinite(value)) return absl::OkStatus();
  return InvalidField(field, absl::StrCat(value, " is not finite"));
}

struct CheckNumbers {
  const PlanRequest& request;

  absl::Status operator()(const Overlay&) const { return absl::OkStatus(); }
  absl::Status operator()(const WeightedAverage& average) const {
    if (average.normalize && SumOfWeights(request) == 0) {
      return InvalidField("sources.weight", "the weights sum to 0");
    }
    return absl::OkStatus();
  }
  absl::Status operator()(const MovingAverage& moving) const {
    if (moving.decay >= 0 && moving.decay <= 1) return absl::OkStatus();
    return InvalidField("combination.moving_average.decay",
                        absl::StrCat(moving.decay, " is not between 0 and 1"));
  }
  absl::Status operator()(const SphericalInterpolation& slerp) const {
    const size_t sources = CombinedSources(request).size();
    if (sources != 2) {
      return InvalidField(
          "combination.slerp",
          absl::StrCat("interpolates between two sources, not ", sources));
    }
    return CheckFinite("combination.slerp.t", slerp.t);
  }
  absl::Status operator()(const TaskArithmetic&) const {
    return absl::OkStatus();
  }
};

}  // namespace

absl::Status CheckCombination(const PlanRequest& request) {
  for (size_t s = 0; s < request.sources.size(); ++s) {
    RETURN_IF_ERROR(CheckFinite(absl::StrCat("sources[", s, "].weight"),
                                request.sources[s].weight));
  }
  return std::visit(CheckNumbers{request}, request.combination);
}

absl::StatusOr<Supplies> Combine(const PlanRequest& request,
                                 absl::Span<const SourceKeys> sources,
                                 const TargetIndex& target) {
  std::vector<Candidates> candidates(request.target->entries.size());
  const std::vector<size_t> combined = CombinedSources(request);
  for (size_t s : combined) {
    for (const NamedTensor& tensor : sources[s].keys) {
      const auto found = target.find(tensor.key);
      if (found != target.end()) {
        candidates[found->second].push_back({s, &tensor});
      }
    }
  }
  Supplies supplies;
  supplies.entries.resize(candidates.size());
  int64_t partial = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].empty()) continue;
    ASSIGN_OR_RETURN(supplies.entries[i],
                     CombineKey(request, candidates[i], combined.size()));
    partial += candidates[i].size() < combined.size() ? 1 : 0;
  }
  if (partial > 0 && !std::holds_alternative<Overlay>(request.combination)) {
    supplies.notes.push_back(
        absl::StrCat(partial,
                     " keys are not in all sources; they were made of those "
                     "that have them"));
  }
  return supplies;
}

void AddRules(absl::Span<const int> more, std::vector<int>* rules) {
  for (int rule : more) {
    if (std::find(rules->begin(), rules->end(), rule) == rules->end()) {
      rules->push_back(rule);
    }
  }
}

}  // namespace warmstart::planner
