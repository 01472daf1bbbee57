#include "server/rpc/checkpoints_service.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/rpc/rpc_world.h"
#include "tests/service/files.h"

namespace warmstart::rpc {
namespace {

using service::FloatTensor;
using service::MakeSafetensors;
using service::RecipeTensors;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class CheckpointsServiceTest : public ::testing::Test {
 protected:
  std::string SaveOne(int seed = 0) {
    return rpc_.MustSave(MakeSafetensors({FloatTensor("w", {4}, seed)}));
  }
  grpc::Status Get(const std::string& name, v1::CheckpointView view,
                   v1::Checkpoint* response) {
    grpc::ClientContext context;
    v1::GetCheckpointRequest request;
    request.set_name(name);
    request.set_view(view);
    return rpc_.checkpoints().GetCheckpoint(&context, request, response);
  }
  grpc::Status List(const v1::ListCheckpointsRequest& request,
                    v1::ListCheckpointsResponse* response) {
    grpc::ClientContext context;
    return rpc_.checkpoints().ListCheckpoints(&context, request, response);
  }
  // Names of all pages.
  std::vector<std::string> ListAll(v1::ListCheckpointsRequest request) {
    std::vector<std::string> names;
    do {
      v1::ListCheckpointsResponse page;
      const grpc::Status status = List(request, &page);
      EXPECT_TRUE(status.ok()) << status.error_message();
      for (const v1::Checkpoint& checkpoint : page.checkpoints()) {
        names.push_back(checkpoint.name());
      }
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return names;
  }
  grpc::Status Update(const v1::UpdateCheckpointRequest& request,
                      v1::Checkpoint* response) {
    grpc::ClientContext context;
    return rpc_.checkpoints().UpdateCheckpoint(&context, request, response);
  }
  grpc::Status Delete(const std::string& name, bool force) {
    grpc::ClientContext context;
    v1::DeleteCheckpointRequest request;
    request.set_name(name);
    request.set_force(force);
    google::protobuf::Empty response;
    return rpc_.checkpoints().DeleteCheckpoint(&context, request, &response);
  }
  grpc::Status GetManifest(const v1::GetManifestRequest& request,
                           v1::Manifest* response) {
    grpc::ClientContext context;
    return rpc_.checkpoints().GetManifest(&context, request, response);
  }
  grpc::Status SetAlias(const std::string& name, const std::string& checkpoint,
                        v1::Alias* response) {
    grpc::ClientContext context;
    v1::SetAliasRequest request;
    request.set_name(name);
    request.set_checkpoint(checkpoint);
    return rpc_.checkpoints().SetAlias(&context, request, response);
  }
  grpc::Status DeleteAlias(const std::string& name) {
    grpc::ClientContext context;
    v1::DeleteAliasRequest request;
    request.set_name(name);
    google::protobuf::Empty response;
    return rpc_.checkpoints().DeleteAlias(&context, request, &response);
  }
  grpc::Status ListAliases(const v1::ListAliasesRequest& request,
                           v1::ListAliasesResponse* response) {
    grpc::ClientContext context;
    return rpc_.checkpoints().ListAliases(&context, request, response);
  }
  // All messages of a download, joined. Checks each of them.
  grpc::Status Download(const std::string& name, v1::FileFormat format,
                        int64_t offset, std::string* bytes) {
    grpc::ClientContext context;
    v1::DownloadCheckpointRequest request;
    request.set_name(name);
    request.set_format(format);
    request.set_offset(offset);
    const auto stream =
        rpc_.checkpoints().DownloadCheckpoint(&context, request);
    v1::DownloadCheckpointResponse message;
    bytes->clear();
    int64_t file_size = -1;
    for (bool first = true; stream->Read(&message); first = false) {
      EXPECT_EQ(message.has_file_size(), first);
      EXPECT_EQ(!message.checkpoint().empty(), first);
      EXPECT_LE(message.chunk().size(), 1 << 20);
      if (first) file_size = message.file_size();
      *bytes += message.chunk();
    }
    const grpc::Status status = stream->Finish();
    if (status.ok()) {
      EXPECT_EQ(file_size, offset + bytes->size());
    }
    return status;
  }

  RpcWorld rpc_;
};

TEST_F(CheckpointsServiceTest, GetGivesTheBasicViewUnlessAskedForAll) {
  const std::string source = rpc_.MustSave(MakeSafetensors(RecipeTensors()));
  grpc::ClientContext context;
  v1::WarmStartRequest request;
  request.set_architecture("NetB");
  request.add_sources()->set_checkpoint(source);
  v1::WarmStartResponse started;
  ASSERT_TRUE(rpc_.initializer().WarmStart(&context, request, &started).ok());
  for (const v1::CheckpointView view :
       {v1::CHECKPOINT_VIEW_UNSPECIFIED, v1::CHECKPOINT_VIEW_BASIC}) {
    v1::Checkpoint basic;
    ASSERT_TRUE(Get(started.checkpoint().name(), view, &basic).ok());
    EXPECT_EQ(basic.SerializeAsString(),
              started.checkpoint().SerializeAsString());
    EXPECT_FALSE(basic.has_report());
  }
  v1::Checkpoint full;
  ASSERT_TRUE(
      Get(started.checkpoint().name(), v1::CHECKPOINT_VIEW_FULL, &full).ok());
  EXPECT_EQ(full.report().SerializeAsString(),
            started.report().SerializeAsString());
}

TEST_F(CheckpointsServiceTest, TheFullViewHasTheFilesMetadata) {
  const std::string header =
      R"({"__metadata__":{"epoch":"3"},"w":{"dtype":"U8","shape":[1],)"
      R"("data_offsets":[0,1]}})";
  const std::string handle = rpc_.MustSave(
      absl::StrCat(service::BytesOf<uint64_t>({header.size()}), header, "x"));
  v1::Checkpoint full;
  ASSERT_TRUE(Get(handle, v1::CHECKPOINT_VIEW_FULL, &full).ok());
  EXPECT_THAT(full.metadata().ShortDebugString(), HasSubstr("epoch"));
  v1::Checkpoint basic;
  ASSERT_TRUE(Get(handle, v1::CHECKPOINT_VIEW_BASIC, &basic).ok());
  EXPECT_FALSE(basic.has_metadata());
}

TEST_F(CheckpointsServiceTest, ListsAreNewestFirstInPagesOfAnySize) {
  std::vector<std::string> expected;
  for (int i = 0; i < 5; ++i) expected.insert(expected.begin(), SaveOne(i));
  for (const int page_size : {0, 1, 2, 5, 7}) {
    v1::ListCheckpointsRequest request;
    request.set_page_size(page_size);
    EXPECT_EQ(ListAll(request), expected) << page_size;
  }
}

TEST_F(CheckpointsServiceTest, FiltersNarrowTheList) {
  v1::SaveModelHeader header;
  header.set_architecture("NetA");
  header.set_alias("prod/a");
  (*header.mutable_labels())["team"] = "vision";
  v1::SaveModelResponse saved;
  ASSERT_TRUE(rpc_.Save(header, {}, &saved).ok());
  const std::string labelled = saved.checkpoint().name();
  const std::string other = SaveOne();
  v1::ListCheckpointsRequest request;
  request.set_architecture("NetA");
  EXPECT_THAT(ListAll(request), ElementsAre(labelled));
  (*request.mutable_labels())["team"] = "vision";
  request.set_alias("aliases/prod/*");
  EXPECT_THAT(ListAll(request), ElementsAre(labelled));
  (*request.mutable_labels())["team"] = "audio";
  EXPECT_THAT(ListAll(request), IsEmpty());
  request.Clear();
  request.set_alias("prod");
  EXPECT_THAT(ListAll(request), IsEmpty());
}

TEST_F(CheckpointsServiceTest, ListRequestsThatCannotBeUsedAreRefused) {
  v1::ListCheckpointsResponse response;
  v1::ListCheckpointsRequest request;
  request.set_page_size(-1);
  EXPECT_EQ(FieldOf(List(request, &response)), "page_size");
  request.Clear();
  request.set_page_token("x");
  EXPECT_EQ(FieldOf(List(request, &response)), "page_token");
  request.Clear();
  request.set_architecture("/");
  EXPECT_EQ(FieldOf(List(request, &response)), "architecture");
}

TEST_F(CheckpointsServiceTest, UpdateReplacesTheLabelsAlone) {
  const std::string handle = SaveOne();
  v1::UpdateCheckpointRequest request;
  request.mutable_checkpoint()->set_name(handle);
  (*request.mutable_checkpoint()->mutable_labels())["a"] = "1";
  v1::Checkpoint updated;
  ASSERT_TRUE(Update(request, &updated).ok());
  EXPECT_EQ(updated.labels().at("a"), "1");
  request.mutable_checkpoint()->clear_labels();
  (*request.mutable_checkpoint()->mutable_labels())["b"] = "2";
  request.mutable_update_mask()->add_paths("labels");
  ASSERT_TRUE(Update(request, &updated).ok());
  EXPECT_THAT(updated.labels(), SizeIs(1));
  EXPECT_EQ(updated.labels().at("b"), "2");
  EXPECT_EQ(updated.name(), handle);

  request.mutable_update_mask()->add_paths("architecture");
  grpc::Status status = Update(request, &updated);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "update_mask");
  request.clear_update_mask();
  (*request.mutable_checkpoint()->mutable_labels())["a b"] = "";
  EXPECT_EQ(FieldOf(Update(request, &updated)), "labels");
  request.Clear();
  EXPECT_EQ(FieldOf(Update(request, &updated)), "checkpoint.name");
  request.mutable_checkpoint()->set_name("checkpoints/nobody");
  status = Update(request, &updated);
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(ReasonOf(status), "CHECKPOINT_NOT_FOUND");
}

TEST_F(CheckpointsServiceTest, UpdateSetsAndClearsWhenItExpires) {
  const std::string handle = SaveOne();
  const auto update = [&](const std::vector<std::string>& paths,
                          const v1::Checkpoint& checkpoint) {
    v1::UpdateCheckpointRequest request;
    *request.mutable_checkpoint() = checkpoint;
    request.mutable_checkpoint()->set_name(handle);
    for (const std::string& path : paths) {
      request.mutable_update_mask()->add_paths(path);
    }
    v1::Checkpoint updated;
    const grpc::Status status = Update(request, &updated);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return updated;
  };
  constexpr int64_t kThen = 4'000'000'000;
  v1::Checkpoint given;
  given.mutable_expire_time()->set_seconds(kThen);
  (*given.mutable_labels())["a"] = "1";
  v1::Checkpoint updated = update({}, given);
  EXPECT_EQ(updated.expire_time().seconds(), kThen);
  EXPECT_THAT(updated.labels(), SizeIs(1));

  // A mask names what changes, and labels alone leave the rest.
  updated = update({"labels"}, {});
  EXPECT_EQ(updated.expire_time().seconds(), kThen);
  EXPECT_THAT(updated.labels(), IsEmpty());
  updated = update({}, {});
  EXPECT_TRUE(updated.has_expire_time());

  given.Clear();
  given.mutable_ttl()->set_seconds(3600);
  updated = update({"ttl"}, given);
  EXPECT_FALSE(updated.has_ttl());
  EXPECT_NEAR(updated.expire_time().seconds(),
              absl::ToUnixSeconds(absl::Now()) + 3600, 60);
  v1::Checkpoint found;
  ASSERT_TRUE(Get(handle, v1::CHECKPOINT_VIEW_BASIC, &found).ok());
  EXPECT_EQ(found.expire_time().seconds(), updated.expire_time().seconds());
  EXPECT_FALSE(update({"expire_time"}, {}).has_expire_time());

  given.mutable_ttl()->set_seconds(3600);
  (*given.mutable_labels())["a"] = "1";
  EXPECT_TRUE(update({"*"}, given).has_expire_time());
  updated = update({"*"}, {});
  EXPECT_FALSE(updated.has_expire_time());
  EXPECT_THAT(updated.labels(), IsEmpty());
}

TEST_F(CheckpointsServiceTest, TimesThatCannotBeAreRefused) {
  v1::UpdateCheckpointRequest request;
  request.mutable_checkpoint()->set_name(SaveOne());
  v1::Checkpoint updated;
  request.mutable_checkpoint()->mutable_expire_time()->set_seconds(1);
  EXPECT_EQ(FieldOf(Update(request, &updated)), "expire_time");
  request.mutable_checkpoint()->mutable_expire_time()->set_nanos(-1);
  EXPECT_EQ(FieldOf(Update(request, &updated)), "expire_time");
  request.mutable_checkpoint()->mutable_ttl()->set_seconds(0);
  EXPECT_EQ(FieldOf(Update(request, &updated)), "ttl");
  request.mutable_checkpoint()->mutable_ttl()->set_seconds(int64_t{1} << 60);
  EXPECT_EQ(FieldOf(Update(request, &updated)), "ttl");
}

TEST_F(CheckpointsServiceTest, WhatAliasesPointToIsDeletedWithForceAlone) {
  const std::string handle = SaveOne();
  v1::Alias alias;
  ASSERT_TRUE(SetAlias("prod", handle, &alias).ok());
  grpc::Status status = Delete(handle, false);
  EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(status), "CHECKPOINT_IN_USE");
  EXPECT_THAT(status.error_message(), HasSubstr("aliases/prod"));
  // An alias may move between the look and the deed.
  status = Delete("aliases/prod", true);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "name");
  EXPECT_TRUE(Delete(handle, true).ok());
  status = Delete(handle, true);
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(ReasonOf(status), "CHECKPOINT_NOT_FOUND");
  EXPECT_EQ(FieldOf(Delete("", true)), "name");
}

TEST_F(CheckpointsServiceTest, ADownloadGivesTheFileAndItsRest) {
  const std::vector<service::Tensor> tensors = {
      {"large", DType::kUint8, {3 << 20}, std::string(3 << 20, 'x')},
      FloatTensor("small", {4})};
  const std::string handle = rpc_.MustSave(MakeSafetensors(tensors));
  for (const v1::FileFormat format :
       {v1::FILE_FORMAT_TORCH, v1::FILE_FORMAT_SAFETENSORS}) {
    std::string file;
    ASSERT_TRUE(Download(handle, format, 0, &file).ok());
    EXPECT_GT(file.size(), 3 << 20);
    const int64_t size = static_cast<int64_t>(file.size());
    for (const int64_t offset : {int64_t{1}, size / 2, size - 1, size}) {
      std::string rest;
      ASSERT_TRUE(Download(handle, format, offset, &rest).ok());
      EXPECT_TRUE(rest == file.substr(offset)) << offset;
    }
    v1::SaveModelResponse again;
    ASSERT_TRUE(rpc_.Save({}, {{"again", file}}, &again).ok());
    EXPECT_TRUE(rpc_.world().Values(again.checkpoint().name()) ==
                rpc_.world().Values(handle));
  }
  std::string unspecified;
  std::string torch;
  ASSERT_TRUE(
      Download(handle, v1::FILE_FORMAT_UNSPECIFIED, 0, &unspecified).ok());
  ASSERT_TRUE(Download(handle, v1::FILE_FORMAT_TORCH, 0, &torch).ok());
  EXPECT_TRUE(unspecified == torch);
}

TEST_F(CheckpointsServiceTest, DownloadErrorsHaveCodesAndReasons) {
  const std::string handle = rpc_.MustSave(MakeSafetensors(
      {{"w", DType::kUint8, {200'000}, std::string(200'000, 'x')}}));
  std::string file;
  grpc::Status status =
      Download("checkpoints/nobody", v1::FILE_FORMAT_TORCH, 0, &file);
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(ReasonOf(status), "CHECKPOINT_NOT_FOUND");
  for (const int64_t offset : {int64_t{-1}, int64_t{1} << 40}) {
    status = Download(handle, v1::FILE_FORMAT_TORCH, offset, &file);
    EXPECT_EQ(status.error_code(), grpc::OUT_OF_RANGE);
    EXPECT_EQ(FieldOf(status), "offset");
  }
  status = Download(handle, static_cast<v1::FileFormat>(77), 0, &file);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "format");
  for (const std::string& pack : rpc_.world().Packs()) {
    std::filesystem::remove(rpc_.world().PackPath(pack));
  }
  status = Download(handle, v1::FILE_FORMAT_TORCH, 0, &file);
  EXPECT_EQ(status.error_code(), grpc::DATA_LOSS);
  EXPECT_EQ(ReasonOf(status), "DATA_LOSS");
}

TEST_F(CheckpointsServiceTest, ADownloadThatTheClientGivesUpEnds) {
  const std::string handle = rpc_.MustSave(MakeSafetensors(
      {{"large", DType::kUint8, {32 << 20}, std::string(32 << 20, 'x')}}));
  grpc::ClientContext context;
  v1::DownloadCheckpointRequest request;
  request.set_name(handle);
  {
    const auto stream =
        rpc_.checkpoints().DownloadCheckpoint(&context, request);
    v1::DownloadCheckpointResponse message;
    ASSERT_TRUE(stream->Read(&message));
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::CANCELLED);
  }
  // If its handler went on, this would wait for the grace period.
  const absl::Time start = absl::Now();
  rpc_.server().Shutdown(absl::Seconds(60));
  EXPECT_LT(absl::Now() - start, absl::Seconds(30));
}

TEST_F(CheckpointsServiceTest, AManifestComesInPagesInTheFilesOrder) {
  std::vector<service::Tensor> tensors;
  for (const char* key : {"c", "a", "b", "e", "d"}) {
    tensors.push_back(FloatTensor(key, {2}));
  }
  const std::string handle = rpc_.MustSave(MakeSafetensors(tensors));
  for (const int page_size : {0, 1, 2, 5, 100}) {
    std::vector<std::string> keys;
    v1::GetManifestRequest request;
    request.set_name(handle);
    request.set_page_size(page_size);
    do {
      v1::Manifest page;
      ASSERT_TRUE(GetManifest(request, &page).ok());
      for (const v1::ManifestEntry& entry : page.entries()) {
        keys.push_back(entry.key());
        EXPECT_EQ(entry.digest(),
                  Digest::Of(FloatTensor(entry.key(), {2}).bytes).ToHex());
      }
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    EXPECT_THAT(keys, ElementsAre("c", "a", "b", "e", "d")) << page_size;
  }
}

TEST_F(CheckpointsServiceTest, ManifestRequestsThatCannotBeUsedAreRefused) {
  v1::Manifest response;
  v1::GetManifestRequest request;
  request.set_name(SaveOne());
  for (const char* token : {"x", "-1", "1", "99999999999999999999"}) {
    request.set_page_token(token);
    EXPECT_EQ(FieldOf(GetManifest(request, &response)), "page_token") << token;
  }
  request.clear_page_token();
  request.set_page_size(-1);
  EXPECT_EQ(FieldOf(GetManifest(request, &response)), "page_size");
  request.Clear();
  EXPECT_EQ(FieldOf(GetManifest(request, &response)), "name");
}

TEST_F(CheckpointsServiceTest, AliasesAreSetMovedListedAndDeleted) {
  const std::string first = SaveOne(1);
  const std::string second = SaveOne(2);
  v1::Alias alias;
  ASSERT_TRUE(SetAlias("aliases/b", first, &alias).ok());
  EXPECT_EQ(alias.name(), "aliases/b");
  EXPECT_EQ(alias.checkpoint(), first);
  EXPECT_GT(alias.update_time().seconds(), 0);
  ASSERT_TRUE(SetAlias("b", second, &alias).ok());
  // An alias of an alias is one of what that points to now.
  ASSERT_TRUE(SetAlias("a", "aliases/b", &alias).ok());
  EXPECT_EQ(alias.checkpoint(), second);
  std::vector<std::string> names;
  v1::ListAliasesRequest request;
  request.set_page_size(1);
  do {
    v1::ListAliasesResponse page;
    ASSERT_TRUE(ListAliases(request, &page).ok());
    for (const v1::Alias& listed : page.aliases()) {
      names.push_back(listed.name());
      EXPECT_EQ(listed.checkpoint(), second);
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(names, ElementsAre("aliases/a", "aliases/b"));
  EXPECT_TRUE(DeleteAlias("aliases/a").ok());
  v1::Checkpoint checkpoint;
  EXPECT_EQ(
      Get("aliases/a", v1::CHECKPOINT_VIEW_BASIC, &checkpoint).error_code(),
      grpc::NOT_FOUND);
  EXPECT_TRUE(Get(second, v1::CHECKPOINT_VIEW_BASIC, &checkpoint).ok());
  EXPECT_THAT(checkpoint.aliases(), ElementsAre("aliases/b"));
}

TEST_F(CheckpointsServiceTest, AliasErrorsHaveCodesReasonsAndFields) {
  const std::string handle = SaveOne();
  v1::Alias alias;
  EXPECT_EQ(FieldOf(SetAlias("", handle, &alias)), "name");
  EXPECT_EQ(FieldOf(SetAlias("a//b", handle, &alias)), "name");
  EXPECT_EQ(FieldOf(SetAlias("a", "", &alias)), "checkpoint");
  grpc::Status status = SetAlias("a", "checkpoints/nobody", &alias);
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(ReasonOf(status), "CHECKPOINT_NOT_FOUND");
  EXPECT_EQ(FieldOf(DeleteAlias("")), "name");
  status = DeleteAlias("a");
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(ReasonOf(status), "ALIAS_NOT_FOUND");
  v1::ListAliasesResponse response;
  v1::ListAliasesRequest request;
  request.set_page_size(-1);
  EXPECT_EQ(FieldOf(ListAliases(request, &response)), "page_size");
  request.Clear();
  request.set_page_token("x");
  EXPECT_EQ(FieldOf(ListAliases(request, &response)), "page_token");
}

}  // namespace
}  // namespace warmstart::rpc
