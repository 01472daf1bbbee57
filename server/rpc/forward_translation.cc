#include "server/rpc/forward_translation.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/model/dtype.h"
#include "server/rpc/request_translation.h"
#include "server/rpc/response_translation.h"

namespace warmstart::rpc {
namespace {

// `Proto` is a Tensor or a RandomTensor.
template <typename Proto>
absl::StatusOr<TensorSpec> SpecOf(const Proto& proto, absl::string_view field) {
  DType dtype = DType::kFloat32;
  if (!proto.dtype().empty()) {
    const absl::StatusOr<DType> parsed = ParseDType(proto.dtype());
    if (!parsed.ok()) {
      return InvalidField(absl::StrCat(field, ".dtype"),
                          parsed.status().message());
    }
    dtype = *parsed;
  }
  absl::StatusOr<Shape> shape =
      Shape::Create({proto.shape().begin(), proto.shape().end()});
  absl::StatusOr<TensorSpec> spec =
      shape.ok() ? TensorSpec::Create(dtype, *std::move(shape))
                 : shape.status();
  if (spec.ok()) return spec;
  return InvalidField(absl::StrCat(field, ".shape"), spec.status().message());
}

absl::StatusOr<service::ForwardInput> FromProto(const v1::ForwardInput& proto,
                                                const std::string& field) {
  service::ForwardInput input;
  input.name = proto.name();
  switch (proto.value_case()) {
    case v1::ForwardInput::kTensor: {
      ASSIGN_OR_RETURN(input.spec, SpecOf(proto.tensor(), field + ".tensor"));
      input.values = absl::string_view(proto.tensor().data());
      return input;
    }
    case v1::ForwardInput::kRandom: {
      const v1::RandomTensor& random = proto.random();
      ASSIGN_OR_RETURN(input.spec, SpecOf(random, field + ".random"));
      service::RandomValues values{.seed = random.seed()};
      if (random.has_high()) values.high = random.high();
      input.values = values;
      return input;
    }
    case v1::ForwardInput::VALUE_NOT_SET:
      break;
  }
  return InvalidField(field, "has no value: neither `tensor` nor `random`");
}

}  // namespace

absl::StatusOr<service::ForwardRequest> FromProto(
    const v1::ForwardRequest& request) {
  service::ForwardRequest result;
  result.checkpoint = request.checkpoint();
  result.architecture = request.architecture();
  result.device = request.device();
  for (int i = 0; i < request.inputs_size(); ++i) {
    ASSIGN_OR_RETURN(
        service::ForwardInput input,
        FromProto(request.inputs(i), absl::StrCat("inputs[", i, "]")));
    result.inputs.push_back(std::move(input));
  }
  result.input_file = request.input_file();
  if (request.output_format() == v1::FILE_FORMAT_UNSPECIFIED) return result;
  const absl::StatusOr<service::FileFormat> format =
      FromProto(request.output_format());
  if (!format.ok()) {
    return InvalidField("output_format", absl::StrCat(request.output_format(),
                                                      " is unknown to this "
                                                      "server"));
  }
  result.output_format = *format;
  return result;
}

void ToProto(service::ForwardResult result, v1::ForwardResponse* response) {
  if (result.output_file.empty()) {
    for (backend::ModelOutput& output : result.outputs) {
      v1::ForwardOutput* proto = response->add_outputs();
      proto->set_name(output.name);
      v1::Tensor* tensor = proto->mutable_tensor();
      tensor->set_dtype(std::string(DTypeName(output.tensor.spec.dtype())));
      ToProto(output.tensor.spec.shape(), tensor->mutable_shape());
      tensor->set_data(std::move(output.tensor.bytes));
    }
  }
  response->set_output_file(std::move(result.output_file));
  for (std::string& note : result.notes) response->add_notes(std::move(note));
  response->set_checkpoint(result.checkpoint.ToString());
  response->set_architecture(result.architecture.ToString());
  response->set_device(result.device.ToString());
  response->set_was_resident(result.was_resident);
}

}  // namespace warmstart::rpc
