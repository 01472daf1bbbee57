#include "server/rpc/architectures_service.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/rpc/architecture_translation.h"
#include "server/rpc/response_translation.h"
#include "tests/rpc/rpc_world.h"

namespace warmstart::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class ArchitecturesServiceTest : public ::testing::Test {
 protected:
  grpc::Status Register(const v1::Architecture& architecture,
                        v1::Architecture* response) {
    grpc::ClientContext context;
    v1::RegisterArchitectureRequest request;
    *request.mutable_architecture() = architecture;
    return rpc_.architectures().RegisterArchitecture(&context, request,
                                                     response);
  }
  grpc::Status Get(const std::string& name, v1::Architecture* response) {
    grpc::ClientContext context;
    v1::GetArchitectureRequest request;
    request.set_name(name);
    return rpc_.architectures().GetArchitecture(&context, request, response);
  }
  grpc::Status List(const v1::ListArchitecturesRequest& request,
                    v1::ListArchitecturesResponse* response) {
    grpc::ClientContext context;
    return rpc_.architectures().ListArchitectures(&context, request, response);
  }
  grpc::Status Delete(const std::string& name, bool force) {
    grpc::ClientContext context;
    v1::DeleteArchitectureRequest request;
    request.set_name(name);
    request.set_force(force);
    google::protobuf::Empty response;
    return rpc_.architectures().DeleteArchitecture(&context, request,
                                                   &response);
  }

  RpcWorld rpc_;
};

v1::Architecture Named(const std::string& name) {
  v1::Architecture architecture;
  ToProto(service::MakeSchema(name, {{"w", {2, 3}}, {"b", {2}}}),
          &architecture);
  return architecture;
}

TEST_F(ArchitecturesServiceTest, WhatIsRegisteredIsWhatIsGot) {
  v1::Architecture registered;
  ASSERT_TRUE(Register(Named("mine"), &registered).ok());
  v1::Architecture expected = Named("mine");
  expected.set_name("architectures/mine/versions/1");
  expected.set_version(1);
  EXPECT_EQ(registered.SerializeAsString(), expected.SerializeAsString());
  for (const char* name :
       {"mine", "architectures/mine", "architectures/mine/versions/1"}) {
    v1::Architecture got;
    ASSERT_TRUE(Get(name, &got).ok());
    EXPECT_EQ(got.SerializeAsString(), registered.SerializeAsString());
  }
}

TEST_F(ArchitecturesServiceTest, BuiltInOnesSayThatTheyAre) {
  v1::Architecture architecture;
  ASSERT_TRUE(Get("NetA", &architecture).ok());
  EXPECT_TRUE(architecture.built_in());
  EXPECT_TRUE(architecture.has_forward());
  EXPECT_THAT(architecture.entries(), SizeIs(10));
  ASSERT_TRUE(Register(Named("mine"), &architecture).ok());
  EXPECT_FALSE(architecture.built_in());
  EXPECT_FALSE(architecture.has_forward());
}

TEST_F(ArchitecturesServiceTest, PagesListAllOfThem) {
  v1::Architecture ignored;
  ASSERT_TRUE(Register(Named("mine"), &ignored).ok());
  std::vector<std::string> names;
  v1::ListArchitecturesRequest request;
  request.set_page_size(1);
  do {
    v1::ListArchitecturesResponse page;
    ASSERT_TRUE(List(request, &page).ok());
    ASSERT_THAT(page.architectures(), SizeIs(1));
    names.push_back(page.architectures(0).name());
    if (names.back() == "architectures/mine/versions/1") {
      EXPECT_EQ(page.architectures(0).version(), 1);
      EXPECT_FALSE(page.architectures(0).built_in());
      EXPECT_EQ(page.architectures(0).entry_count(), 2);
      EXPECT_EQ(page.architectures(0).parameter_count(), 8);
      EXPECT_EQ(page.architectures(0).size_bytes(), 32);
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(names, ElementsAre("architectures/NetA", "architectures/NetB",
                                 "architectures/mine/versions/1"));
}

TEST_F(ArchitecturesServiceTest, WhatWasGotIsRegisteredAgainAsItself) {
  v1::Architecture first, second, again;
  ASSERT_TRUE(Register(Named("mine"), &first).ok());
  v1::Architecture other = Named("mine");
  other.mutable_entries(0)->set_key("other");
  ASSERT_TRUE(Register(other, &second).ok());
  EXPECT_EQ(second.name(), "architectures/mine/versions/2");
  EXPECT_EQ(second.version(), 2);
  ASSERT_TRUE(Register(first, &again).ok());
  EXPECT_EQ(again.SerializeAsString(), first.SerializeAsString());

  v1::ListArchitecturesRequest request;
  v1::ListArchitecturesResponse response;
  request.set_architecture("mine");
  ASSERT_TRUE(List(request, &response).ok());
  ASSERT_THAT(response.architectures(), SizeIs(2));
  EXPECT_EQ(response.architectures(0).name(), second.name());
  EXPECT_EQ(response.architectures(1).name(), first.name());
  EXPECT_EQ(response.architectures(1).version(), 1);

  ASSERT_TRUE(Delete(second.name(), false).ok());
  ASSERT_TRUE(Get("mine", &again).ok());
  EXPECT_EQ(again.name(), first.name());
}

TEST_F(ArchitecturesServiceTest, ADryRegistrationStoresNothing) {
  v1::RegisterArchitectureRequest request;
  *request.mutable_architecture() = Named("mine");
  request.set_validate_only(true);
  grpc::ClientContext context;
  v1::Architecture response;
  ASSERT_TRUE(rpc_.architectures()
                  .RegisterArchitecture(&context, request, &response)
                  .ok());
  EXPECT_EQ(response.name(), "architectures/mine/versions/1");
  EXPECT_EQ(Get("mine", &response).error_code(), grpc::NOT_FOUND);
}

TEST_F(ArchitecturesServiceTest, InitialValuesNameTheirCheckpoint) {
  v1::SaveModelHeader header;
  header.set_architecture("NetA");
  header.set_alias("values");
  v1::SaveModelResponse saved;
  ASSERT_TRUE(rpc_.Save(header, {}, &saved).ok());
  v1::Architecture architecture;
  ASSERT_TRUE(Get("NetA", &architecture).ok());
  architecture.set_name("mine");
  for (v1::ArchitectureEntry& entry : *architecture.mutable_entries()) {
    entry.mutable_initializer()->mutable_stored();
  }
  v1::Architecture registered, again;
  grpc::Status status = Register(architecture, &registered);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "architecture.initial_values");
  architecture.set_initial_values("aliases/values");
  ASSERT_TRUE(Register(architecture, &registered).ok());
  EXPECT_EQ(registered.initial_values(), saved.checkpoint().name());
  EXPECT_EQ(registered.entries(0).initializer().stored().key(), "conv1.weight");
  ASSERT_TRUE(Register(registered, &again).ok());
  EXPECT_EQ(again.SerializeAsString(), registered.SerializeAsString());
}

TEST_F(ArchitecturesServiceTest, CheckpointsNameTheVersionAndAreFoundByIt) {
  v1::Architecture ignored;
  ASSERT_TRUE(Register(Named("mine"), &ignored).ok());
  v1::SaveModelHeader header;
  header.set_architecture("mine");
  v1::SaveModelResponse saved;
  ASSERT_TRUE(rpc_.Save(header, {}, &saved).ok());
  EXPECT_EQ(saved.checkpoint().architecture(), "architectures/mine/versions/1");
  for (const auto& [name, count] :
       {std::pair("mine", 1), std::pair("architectures/mine/versions/1", 1),
        std::pair("mine/versions/2", 0)}) {
    v1::ListCheckpointsRequest request;
    request.set_architecture(name);
    v1::ListCheckpointsResponse response;
    grpc::ClientContext context;
    ASSERT_TRUE(
        rpc_.checkpoints().ListCheckpoints(&context, request, &response).ok());
    EXPECT_THAT(response.checkpoints(), SizeIs(count)) << name;
  }
}

TEST_F(ArchitecturesServiceTest, ErrorsHaveCodesReasonsAndFields) {
  v1::Architecture architecture;
  ASSERT_TRUE(Register(Named("mine"), &architecture).ok());

  grpc::Status status = Get("nobody", &architecture);
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(ReasonOf(status), "ARCHITECTURE_NOT_FOUND");
  status = Get("", &architecture);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "name");

  status = Register(Named("NetA"), &architecture);
  EXPECT_EQ(status.error_code(), grpc::ALREADY_EXISTS);
  EXPECT_EQ(ReasonOf(status), "ARCHITECTURE_BUILT_IN");
  status = Register({}, &architecture);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "architecture.name");

  v1::ListArchitecturesRequest request;
  v1::ListArchitecturesResponse response;
  request.set_page_size(-1);
  EXPECT_EQ(FieldOf(List(request, &response)), "page_size");
  request.set_page_size(1);
  request.set_page_token("x");
  EXPECT_EQ(FieldOf(List(request, &response)), "page_token");
}

TEST_F(ArchitecturesServiceTest, OneThatIsInUseIsDeletedWithForceAlone) {
  v1::Architecture architecture;
  ASSERT_TRUE(Register(Named("mine"), &architecture).ok());
  v1::SaveModelHeader header;
  header.set_architecture("mine");
  v1::SaveModelResponse saved;
  ASSERT_TRUE(rpc_.Save(header, {}, &saved).ok());
  grpc::Status status = Delete("mine", false);
  EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(status), "ARCHITECTURE_IN_USE");
  EXPECT_TRUE(Delete("mine", true).ok());
  status = Delete("mine", true);
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(ReasonOf(status), "ARCHITECTURE_NOT_FOUND");
  status = Delete("NetA", true);
  EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(status), "ARCHITECTURE_BUILT_IN");
}

}  // namespace
}  // namespace warmstart::rpc
