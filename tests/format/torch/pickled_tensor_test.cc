#include "server/format/torch/pickled_tensor.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/format/hand_made.h"
#include "tests/format/loaded_pickle.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using hand_made::Build;
using hand_made::Call;
using hand_made::Dict;
using hand_made::FloatVector;
using hand_made::Global;
using hand_made::Int;
using hand_made::Ints;
using hand_made::List;
using hand_made::Persistent;
using hand_made::Storage;
using hand_made::Tensor;
using hand_made::Text;
using hand_made::Tuple;
using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::Optional;
using ::warmstart::testing::StatusIs;

std::string Utils(absl::string_view name) {
  return Global("torch._utils", name);
}

absl::StatusOr<TensorValue> Decode(const std::string& value) {
  const LoadedPickle pickle(value);
  return DecodeTensor(pickle.heap(), pickle.root());
}

void ExpectVector(const std::string& value) {
  ASSERT_OK_AND_ASSIGN(const TensorValue decoded, Decode(value));
  const auto* tensor = std::get_if<PickledTensor>(&decoded);
  ASSERT_NE(tensor, nullptr);
  EXPECT_THAT(tensor->sizes, ElementsAre(3));
  EXPECT_THAT(tensor->strides, ElementsAre(1));
}

void ExpectUnreadable(const std::string& value, const std::string& reason) {
  ASSERT_OK_AND_ASSIGN(const TensorValue decoded, Decode(value));
  const auto* unreadable = std::get_if<UnreadableTensor>(&decoded);
  ASSERT_NE(unreadable, nullptr);
  EXPECT_EQ(unreadable->reason, reason);
}

void ExpectNoTensor(const std::string& value) {
  ASSERT_OK_AND_ASSIGN(const TensorValue decoded, Decode(value));
  EXPECT_TRUE(std::holds_alternative<NoTensor>(decoded));
}

void ExpectMalformed(const std::string& value, const std::string& message) {
  EXPECT_THAT(Decode(value),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
}

std::string Version3(const std::string& dtype) {
  return Call(Utils("_rebuild_tensor_v3"),
              {Storage("Untyped", "0", 3), Int(0), Ints({3}), Ints({1}), "\x89",
               Dict({}), dtype});
}

TEST(PickledTensorTest, AllRebuildFunctionsAreRead) {
  const std::string storage = Storage("Float", "0", 3);
  ExpectVector(FloatVector("0", 3));
  ExpectVector(
      Call(Utils("_rebuild_tensor"), {storage, Int(0), Ints({3}), Ints({1})}));
  ExpectVector(Version3(Global("torch", "uint8")));
  ExpectVector(Call(Utils("_rebuild_parameter"),
                    {FloatVector("0", 3), "\x88", Dict({})}));
  ExpectVector(Call(Utils("_rebuild_parameter_with_state"),
                    {FloatVector("0", 3), "\x88", Dict({}), Dict({})}));
  ExpectVector(
      Call(Utils("_rebuild_device_tensor_from_cpu_tensor"),
           {FloatVector("0", 3), Global("torch", "float32"), Text("xla")}));
  ExpectVector(Call(
      Global("torch._tensor", "_rebuild_from_type_v2"),
      {Utils("_rebuild_tensor_v2"), Global("torch.nn.parameter", "Parameter"),
       Tuple({storage, Int(0), Ints({3}), Ints({1})}), Dict({})}));
  // PyTorch 1.7 had this module.
  ExpectVector(
      Call(Global("torch.tensor", "_rebuild_from_type"),
           {Utils("_rebuild_tensor_v2"), Global("torch", "Tensor"),
            Tuple({storage, Int(0), Ints({3}), Ints({1})}), Dict({})}));
}

TEST(PickledTensorTest, SizesMayBeAnySequence) {
  const std::string storage = Storage("Float", "0", 3);
  ExpectVector(Call(Utils("_rebuild_tensor"),
                    {storage, Int(0), List({Int(3)}),
                     Call(Global("torch", "Size"), {Ints({1})})}));
}

TEST(PickledTensorTest, VariablesOfEarlyVersionsAreRead) {
  // 0.2 and 0.3: the class with the data, then a state of flags.
  ExpectVector(Build(
      Call(Global("torch.nn.parameter", "Parameter"), {FloatVector("0", 3)}),
      Tuple({"\x88", "\x89", Dict({})})));
  // 0.1: the state has the data.
  ExpectVector(
      Build(Call(Global("torch.autograd.variable", "Variable"), {}),
            Tuple({FloatVector("0", 3), "N", Dict({}), "\x89", "\x88"})));
  // Tensors before torch._utils._rebuild_tensor.
  ExpectVector(
      Build(Call(Global("torch", "FloatTensor"), {}),
            Tuple({Storage("Float", "0", 3), Int(0), Ints({3}), Ints({1})})));
}

TEST(PickledTensorTest, PersistentIdsAreReferences) {
  ASSERT_OK_AND_ASSIGN(const TensorValue decoded, Decode("P12\n"));
  EXPECT_TRUE(std::holds_alternative<TensorReference>(decoded));
}

TEST(PickledTensorTest, OtherKindsHaveReasons) {
  ExpectUnreadable(Call(Utils("_rebuild_sparse_tensor"), {}), "sparse tensor");
  ExpectUnreadable(Call(Utils("_rebuild_qtensor"), {}), "quantized tensor");
  ExpectUnreadable(Call(Utils("_rebuild_nested_tensor"), {}), "nested tensor");
  ExpectUnreadable(
      Call(Utils("_rebuild_parameter"), {Call(Utils("_rebuild_qtensor"), {})}),
      "quantized tensor");
  ExpectUnreadable(Call(Global("torch._tensor", "_rebuild_from_type_v2"),
                        {Utils("_rebuild_wrapper_subclass"),
                         Global("torch.distributed.tensor", "DTensor"),
                         Tuple({}), Dict({})}),
                   "tensor subclass torch.distributed.tensor.DTensor");
  ExpectUnreadable(Version3(Global("torch", "bits8")), "tensor of torch.bits8");
  ExpectUnreadable(Version3(Global("os", "float32")), "tensor of os.float32");
}

TEST(PickledTensorTest, OtherValuesAreNoTensors) {
  ExpectNoTensor("N");
  ExpectNoTensor(Call(Global("os", "system"), {Text("ls")}));
  ExpectNoTensor(Call(Global("os", "_rebuild_tensor_v2"), {}));
  ExpectNoTensor(Call(Utils("_rebuild_something"), {}));
  ExpectNoTensor(Call(Global("torch.nn.parameter", "Parameter"), {Int(5)}));
}

TEST(PickledTensorTest, WrongArgumentsAreRefused) {
  const std::string storage = Storage("Float", "0", 3);
  const std::string rebuild = Utils("_rebuild_tensor_v2");
  ExpectMalformed(Call(rebuild, {storage, Int(0), Ints({3})}), "missing");
  ExpectMalformed(rebuild + "NR", "missing");
  ExpectMalformed(Call(rebuild, {storage, "N", Ints({3}), Ints({1})}),
                  "its offset is no integer");
  ExpectMalformed(Call(rebuild, {storage, Int(0), Int(3), Ints({1})}),
                  "its shape is no tuple of integers");
  ExpectMalformed(
      Call(rebuild, {storage, Int(0), Ints({3}), Tuple({Text("1")})}),
      "its stride is no tuple of integers");
  ExpectMalformed(Call(rebuild, {storage, Int(0),
                                 Ints(std::vector<int64_t>(65, 1)), Ints({})}),
                  "65 dimensions");
  ExpectMalformed(Call(Utils("_rebuild_parameter"), {}), "missing");
  ExpectMalformed(Call(Utils("_rebuild_from_type_v2"), {}), "missing");
  std::string wrapped = FloatVector("0", 3);
  for (int i = 0; i < 20; ++i) {
    wrapped = Call(Utils("_rebuild_parameter"), {wrapped});
  }
  ExpectMalformed(wrapped, "wrapped too often");
}

absl::StatusOr<PickledStorage> DecodeOne(const LoadedPickle& pickle) {
  return DecodeStorage(pickle.heap(), pickle.root());
}

TEST(PickledTensorTest, StoragesAreRead) {
  const LoadedPickle plain(Storage("Half", "key", 7));
  ASSERT_OK_AND_ASSIGN(const PickledStorage storage, DecodeOne(plain));
  EXPECT_EQ(storage.key, "key");
  EXPECT_EQ(storage.size, 7);
  EXPECT_EQ(storage.storage_class.element_size, 2);
  EXPECT_THAT(storage.storage_class.dtype, Optional(Eq(DType::kFloat16)));
  EXPECT_FALSE(storage.view.has_value());

  const LoadedPickle whole(Storage("Long", "key", 7, {"N"}));
  ASSERT_OK_AND_ASSIGN(const PickledStorage root, DecodeOne(whole));
  EXPECT_FALSE(root.view.has_value());

  const LoadedPickle part(
      Storage("Long", "key", 7, {Tuple({Text("v"), Int(2), Int(3)})}));
  ASSERT_OK_AND_ASSIGN(const PickledStorage view, DecodeOne(part));
  ASSERT_TRUE(view.view.has_value());
  EXPECT_EQ(view.view->offset, 2);
  EXPECT_EQ(view.view->size, 3);
}

TEST(PickledTensorTest, ClassesOfStoragesAreKnownByName) {
  for (const auto& [name, size, has_dtype] :
       std::vector<std::tuple<std::string, int, bool>>{
           {"ComplexDouble", 16, true},
           {"BFloat16", 2, true},
           {"Bool", 1, true},
           {"QInt32", 4, false},
           {"Untyped", 1, false},
           {"Imaginary", 0, false}}) {
    const LoadedPickle pickle(Storage(name, "0", 1));
    ASSERT_OK_AND_ASSIGN(const PickledStorage storage, DecodeOne(pickle));
    EXPECT_EQ(storage.storage_class.element_size, size) << name;
    EXPECT_EQ(storage.storage_class.dtype.has_value(), has_dtype) << name;
    EXPECT_EQ(storage.storage_class.untyped, name == "Untyped");
  }
}

TEST(PickledTensorTest, OtherPersistentIdsAreNoStorages) {
  const std::string type = Global("torch", "FloatStorage");
  for (const std::string& value :
       {Int(1), Persistent(Int(1)), Persistent(Tuple({Text("storage")})),
        Persistent(
            Tuple({Text("module"), type, Text("0"), Text("cpu"), Int(1)})),
        Persistent(Tuple({Text("storage"), type, Int(0), Text("cpu"), Int(1)})),
        Persistent(Tuple({Text("storage"), type, Text(std::string(300, 'k')),
                          Text("cpu"), Int(1)})),
        Persistent(Tuple({Text("storage"), type, Text("0"), Text("cpu"), "N"})),
        Storage("Float", "0", 1, {Int(1)}),
        Storage("Float", "0", 1, {Tuple({Text("v"), "N", Int(1)})})}) {
    const LoadedPickle pickle(value);
    EXPECT_THAT(DecodeOne(pickle),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

}  // namespace
}  // namespace warmstart::format
