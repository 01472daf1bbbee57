// Reads what a source of metrics collects.

#ifndef WARMSTART_TESTS_RPC_METRICS_FAMILIES_H_
#define WARMSTART_TESTS_RPC_METRICS_FAMILIES_H_

#include <prometheus/collectable.h>

#include <map>
#include <string>

namespace warmstart::rpc {

// The metrics of a source by "name" or "name{label=value,...}", labels by name;
// of histograms, how many values they have.
std::map<std::string, double> ValuesOf(const prometheus::Collectable& source);

}  // namespace warmstart::rpc

#endif  // WARMSTART_TESTS_RPC_METRICS_FAMILIES_H_
