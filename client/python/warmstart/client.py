"""The client."""

from __future__ import annotations

import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, TypeVar

import grpc

from warmstart import registration, requests, schema, tensors, transfer, uploads
from warmstart.connection import Connection
from warmstart.errors import WarmstartError
from warmstart.v1 import (
    architectures_pb2,
    architectures_pb2_grpc,
    checkpoints_pb2,
    checkpoints_pb2_grpc,
    matching_pb2,
    model_initializer_pb2,
    model_initializer_pb2_grpc,
    server_info_pb2,
    server_info_pb2_grpc,
    uploads_pb2_grpc,
)

if TYPE_CHECKING:
    import torch

Item = TypeVar("Item")


class Client:
    """A client of one server. Thread-safe.

    Requests that fail raise `WarmstartError`. Where the connection is lost, a
    request is sent again, if that is safe: it only reads, or carries a
    request_id, which `save`, `save_fresh` and `warm_start` give it.

    "Handle" means "checkpoints/{id}" or "aliases/{alias}".
    """

    def __init__(
        self, address: str, *, timeout: float | None = None, attempts: int = 4
    ) -> None:
        """Makes a client; it connects when it is first used.

        Args:
            address: The server's "host:port".
            timeout: Seconds that a call may take; no limit where it is None.
            attempts: How often a call is tried before its failure is raised.
        """
        self._connection = Connection(address, timeout=timeout, attempts=attempts)
        channel = self._connection.channel
        self._models = model_initializer_pb2_grpc.ModelInitializerStub(channel)
        self._checkpoints = checkpoints_pb2_grpc.CheckpointsStub(channel)
        self._architectures = architectures_pb2_grpc.ArchitecturesStub(channel)
        self._information = server_info_pb2_grpc.ServerInformationStub(channel)
        self._uploads = uploads_pb2_grpc.UploadsStub(channel)

    def __enter__(self) -> Client:
        """Returns the client, which is closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the connection."""
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    # Models.

    def save(
        self,
        model: transfer.FilesOrState,
        *,
        architecture: str | None = None,
        labels: Mapping[str, str] | None = None,
        alias: str | None = None,
        request_id: str | None = None,
    ) -> model_initializer_pb2.SaveModelResponse:
        """Stores a checkpoint.

        Args:
            model: A state_dict, the path of a file that torch.save or
                safetensors wrote, or the paths of a sharded set.
            architecture: What it is matched with; the answer has the report.
            labels: Labels of the checkpoint.
            alias: An alias to set to it.
            request_id: The same for all tries of one request; drawn where it is
                None.
        """
        header = model_initializer_pb2.SaveModelHeader(
            architecture=architecture or "",
            labels=labels,
            alias=alias or "",
            request_id=request_id or str(uuid.uuid4()),
        )
        with transfer.as_files(model) as files:
            return self._save(header, files)

    def save_fresh(
        self,
        architecture: str,
        *,
        seed: int | None = None,
        device: str | None = None,
        labels: Mapping[str, str] | None = None,
        alias: str | None = None,
        request_id: str | None = None,
    ) -> model_initializer_pb2.SaveModelResponse:
        """Stores a fresh model of an architecture.

        On the CPU, `seed` gives NetA and NetB the values that
        `torch.manual_seed(seed)` gives them.
        """
        header = model_initializer_pb2.SaveModelHeader(
            architecture=architecture,
            seed=seed,
            device=device or "",
            labels=labels,
            alias=alias or "",
            request_id=request_id or str(uuid.uuid4()),
        )
        return self._save(header, [])

    def warm_start(
        self,
        architecture: str,
        sources: requests.SourceLike | Sequence[requests.SourceLike],
        *,
        subtree: str = "",
        strip_prefix: str | None = None,
        rename: Mapping[str, str] | None = None,
        rename_regex: Mapping[str, str] | None = None,
        add_prefix: str | None = None,
        key_rules: Sequence[matching_pb2.KeyRule] = (),
        invert_key_rules: bool = False,
        match: str | None = None,
        combine: requests.Choice | None = None,
        adapt: Mapping[str, requests.Choice] | None = None,
        widen: Sequence[matching_pb2.Widening] = (),
        initialize: Mapping[str, requests.Choice] | None = None,
        include: str | Sequence[str] = (),
        exclude: str | Sequence[str] = (),
        strict: bool = False,
        on_shape_mismatch: str | None = None,
        on_dtype_mismatch: str | None = None,
        min_coverage: float = 0.0,
        coverage: Mapping[str, float] | None = None,
        expected_missing: str | Sequence[str] = (),
        expected_unexpected: str | Sequence[str] = (),
        refuse_non_finite: bool = False,
        seed: int | None = None,
        device: str | None = None,
        dry_run: bool = False,
        labels: Mapping[str, str] | None = None,
        alias: str | None = None,
        request_id: str | None = None,
    ) -> model_initializer_pb2.WarmStartResponse:
        """Makes a checkpoint of an architecture from others.

        Args:
            architecture: The target.
            sources: The handles to load from; the first that has a key wins,
                unless `combine` says otherwise. A `Source` has more: a subtree
                of its own, a weight, or that it is a LoRA adapter.
            subtree: Where the state_dict is inside of the sources given as
                handles.
            strip_prefix: Taken off the source keys that have it, as "module.".
            rename: New names of source keys, by the old ones.
            rename_regex: Replacements by RE2 pattern, as Python's re.sub.
            add_prefix: Put before every source key.
            key_rules: More rules. All rules apply in the order of these
                parameters, each to the result of the one before it.
            invert_key_rules: Undoes the rules instead, last first.
            match: "exact", the default, or "auto".
            combine: How several sources become one: "overlay", the default,
                "average", {"moving_average": {"decay": 0.99}},
                {"slerp": {"t": 0.5}} or "task_arithmetic".
            adapt: How tensors of another shape are made to fit, by a glob on
                target keys: {"head.*": "rows", "*pos_embed":
                "position_embedding", "*": "auto"}.
            widen: Layers that are wider in the target.
            initialize: Initializers in place of the architecture's, by a glob
                on target keys: {"*.c_proj.*": "zeros"}.
            include: Globs on source keys; those that match none are left out.
            exclude: Globs on source keys to leave out.
            strict: Fails where a key is missing or unexpected.
            on_shape_mismatch: "error", the default, "skip" or "adapt".
            on_dtype_mismatch: "cast", the default, "keep" or "error".
            min_coverage: The fraction of the target's parameters that must be
                loaded.
            coverage: The same for parts of the target, by a glob on its keys.
            expected_missing: Regular expressions (RE2) of target keys that may
                be missing.
            expected_unexpected: The same for source keys that may be left over.
            refuse_non_finite: Fails where what is loaded holds a NaN or an
                infinity.
            seed: Of the values that are initialized.
            device: Where the load is performed: "cpu", "cuda", "cuda:N", "auto".
            dry_run: Only reports; nothing is stored.
            labels: Labels of the new checkpoint.
            alias: An alias to set to it.
            request_id: The same for all tries of one request; drawn where it is
                None.
        """
        request = model_initializer_pb2.WarmStartRequest(
            architecture=architecture,
            sources=requests.sources(sources, subtree),
            key_rules=requests.key_rules(
                strip_prefix=strip_prefix,
                rename=rename or {},
                rename_regex=rename_regex or {},
                add_prefix=add_prefix,
                more=key_rules,
            ),
            invert_key_rules=invert_key_rules,
            key_matching=requests.key_matching(match),
            combination=requests.combination(combine),
            shape_adapters=requests.shape_adapters(adapt or {}),
            widenings=widen,
            initializers=requests.initializers(initialize or {}),
            include=requests.patterns(include),
            exclude=requests.patterns(exclude),
            strict=strict,
            on_shape_mismatch=requests.shape_policy(on_shape_mismatch),
            on_dtype_mismatch=requests.dtype_policy(on_dtype_mismatch),
            min_coverage=min_coverage,
            coverage_gates=requests.coverage_gates(coverage or {}),
            expected_missing=requests.patterns(expected_missing),
            expected_unexpected=requests.patterns(expected_unexpected),
            refuse_non_finite=refuse_non_finite,
            seed=seed,
            device=device or "",
            validate_only=dry_run,
            labels=labels,
            alias=alias or "",
            request_id=request_id or str(uuid.uuid4()),
        )
        return self._connection.call(self._models.WarmStart, request)

    def forward(
        self,
        handle: str,
        *inputs: tensors.InputLike,
        architecture: str | None = None,
        device: str | None = None,
        **named: tensors.InputLike,
    ) -> torch.Tensor | dict[str, torch.Tensor]:
        """Runs a checkpoint, in evaluation mode.

        A note of the server's, such as that an output has NaNs, is a warning.

        Args:
            handle: The checkpoint.
            *inputs: Tensors, as the module's forward takes them; a `RandomTensor`
                is drawn by the server.
            architecture: What to run it as; what it was saved as where it is
                None.
            device: Where it runs: "cpu", "cuda", "cuda:N", "auto".
            **named: The inputs by their names, in place of `inputs`.

        Returns:
            The output or, where the model has several, a dict of them by name.
        """
        request = model_initializer_pb2.ForwardRequest(
            checkpoint=handle,
            architecture=architecture or "",
            device=device or "",
            inputs=tensors.inputs(inputs, named),
        )
        response = self._connection.call(self._models.Forward, request)
        for note in response.notes:
            warnings.warn(note, stacklevel=2)
        return tensors.outputs(response.outputs)

    # Checkpoints.

    def download(
        self,
        handle: str | Mapping[str, str],
        path: transfer.PathLike,
        *,
        format: str | None = None,
    ) -> str | dict[str, str]:
        """Writes checkpoints to a file, which is there whole or not at all.

        Args:
            handle: The checkpoint; or several, by the keys of their state_dicts
                in the file, as {"modelA": handle, "modelB": other}. In
                safetensors, tensors' keys begin with those and a dot.
            path: The file, which is replaced where it exists.
            format: "torch", the default, or "safetensors".

        Returns:
            The checkpoint's name, also where `handle` is an alias; of several,
            their names by the same keys.
        """
        with transfer.whole_or_nothing(Path(path)) as file:
            return self._download(handle, file, format)

    def state_dict(
        self, handle: str, *, map_location: object = None
    ) -> dict[str, torch.Tensor]:
        """Fetches a checkpoint's tensors, as `torch.load` would give them."""
        import torch  # noqa: PLC0415  needed only here

        with tempfile.TemporaryFile() as file:
            self._download(handle, file, "torch")
            file.seek(0)
            return torch.load(file, map_location=map_location, weights_only=True)

    def get(self, handle: str, *, full: bool = False) -> checkpoints_pb2.Checkpoint:
        """Gets a checkpoint; with `full`, its report and metadata too."""
        view = "CHECKPOINT_VIEW_FULL" if full else "CHECKPOINT_VIEW_BASIC"
        return self._connection.call(
            self._checkpoints.GetCheckpoint,
            checkpoints_pb2.GetCheckpointRequest(name=handle, view=view),
        )

    def list(
        self,
        *,
        architecture: str | None = None,
        labels: Mapping[str, str] | None = None,
        alias: str | None = None,
        page_size: int = 0,
    ) -> Iterator[checkpoints_pb2.Checkpoint]:
        """Lists checkpoints, newest first, fetching pages as they are needed."""
        request = checkpoints_pb2.ListCheckpointsRequest(
            architecture=architecture or "",
            labels=labels,
            alias=alias or "",
            page_size=page_size,
        )
        method = self._checkpoints.ListCheckpoints
        return self._pages(method, request, lambda page: page.checkpoints)

    def manifest(self, handle: str) -> Iterator[checkpoints_pb2.ManifestEntry]:
        """Lists a checkpoint's tensors: key, dtype, shape and digest."""
        request = checkpoints_pb2.GetManifestRequest(name=handle)
        method = self._checkpoints.GetManifest
        return self._pages(method, request, lambda page: page.entries)

    def diff(self, base: str, other: str) -> checkpoints_pb2.DiffCheckpointsResponse:
        """Compares two checkpoints key by key, by digest."""
        return self._connection.call(
            self._checkpoints.DiffCheckpoints,
            checkpoints_pb2.DiffCheckpointsRequest(base=base, other=other),
        )

    def set_labels(
        self, handle: str, labels: Mapping[str, str]
    ) -> checkpoints_pb2.Checkpoint:
        """Replaces all labels of a checkpoint."""
        return self._connection.call(
            self._checkpoints.UpdateCheckpoint,
            checkpoints_pb2.UpdateCheckpointRequest(
                checkpoint=checkpoints_pb2.Checkpoint(name=handle, labels=labels),
                update_mask={"paths": ["labels"]},
            ),
        )

    def delete(self, name: str, *, force: bool = False) -> None:
        """Deletes a checkpoint; with `force`, the aliases that point to it too."""
        self._connection.once(
            self._checkpoints.DeleteCheckpoint,
            checkpoints_pb2.DeleteCheckpointRequest(name=name, force=force),
        )

    # Aliases.

    def set_alias(self, alias: str, handle: str) -> checkpoints_pb2.Alias:
        """Creates an alias or points it to another checkpoint."""
        return self._connection.call(
            self._checkpoints.SetAlias,
            checkpoints_pb2.SetAliasRequest(name=alias, checkpoint=handle),
        )

    def delete_alias(self, alias: str) -> None:
        """Deletes an alias; the checkpoint stays."""
        self._connection.once(
            self._checkpoints.DeleteAlias,
            checkpoints_pb2.DeleteAliasRequest(name=alias),
        )

    def aliases(self, *, page_size: int = 0) -> Iterator[checkpoints_pb2.Alias]:
        """Lists aliases by name."""
        request = checkpoints_pb2.ListAliasesRequest(page_size=page_size)
        method = self._checkpoints.ListAliases
        return self._pages(method, request, lambda page: page.aliases)

    # Architectures.

    def register(
        self,
        name: str,
        model: schema.Model,
        *,
        initializers: schema.Initializers | None = None,
        device: str | None = None,
        labels: Mapping[str, str] | None = None,
        validate_only: bool = False,
    ) -> architectures_pb2.Architecture:
        """Registers a model as an architecture; see `architecture_of`.

        Entries whose values nothing but the values themselves can make are saved
        first, as a checkpoint that the architecture keeps. Registering the same
        again gives the version that is there, and leaves nothing behind.

        Args:
            name: The architecture's name, best the model's class name.
            model: A module, a factory that makes it, or a state_dict.
            initializers: As in `architecture_of`.
            device: As in `architecture_of`.
            labels: More labels of the checkpoint of initial values.
            validate_only: Only checks; nothing stays on the server.
        """
        description = schema.describe(
            name, model, initializers=initializers, device=device
        )
        return registration.register(
            self, description, labels=labels or {}, validate_only=validate_only
        )

    def register_architecture(
        self,
        architecture: architectures_pb2.Architecture,
        *,
        validate_only: bool = False,
    ) -> architectures_pb2.Architecture:
        """Registers an architecture; `architecture_of` describes a model.

        What differs from all versions of its name becomes the next one.

        Args:
            architecture: The architecture.
            validate_only: Checks it and answers with what it would be, but stores
                nothing.
        """
        return self._connection.call(
            self._architectures.RegisterArchitecture,
            architectures_pb2.RegisterArchitectureRequest(
                architecture=architecture, validate_only=validate_only
            ),
        )

    def get_architecture(self, name: str) -> architectures_pb2.Architecture:
        """Gets an architecture: "Net", its newest version, or "Net/versions/2"."""
        return self._connection.call(
            self._architectures.GetArchitecture,
            architectures_pb2.GetArchitectureRequest(name=name),
        )

    def architectures(
        self, name: str | None = None, *, page_size: int = 0
    ) -> Iterator[architectures_pb2.ArchitectureSummary]:
        """Lists architectures by name, each in its newest version.

        The built-in ones come first. With a `name`, lists all versions of that
        one, the newest first.
        """
        request = architectures_pb2.ListArchitecturesRequest(
            architecture=name or "", page_size=page_size
        )
        method = self._architectures.ListArchitectures
        return self._pages(method, request, lambda page: page.architectures)

    def delete_architecture(self, name: str, *, force: bool = False) -> None:
        """Deletes a version ("Net/versions/2") or all ("Net") of an architecture.

        With `force` also while checkpoints name it.
        """
        self._connection.once(
            self._architectures.DeleteArchitecture,
            architectures_pb2.DeleteArchitectureRequest(name=name, force=force),
        )

    # The server.

    def server_info(self) -> server_info_pb2.ServerInfo:
        """Tells versions, devices, and the models that are resident on them."""
        return self._connection.call(
            self._information.GetServerInfo, server_info_pb2.GetServerInfoRequest()
        )

    def _save(
        self,
        header: model_initializer_pb2.SaveModelHeader,
        files: Sequence[Path],
    ) -> model_initializer_pb2.SaveModelResponse:
        if sum(path.stat().st_size for path in files) >= uploads.RESUMABLE_BYTES:
            try:
                header.upload = uploads.send(
                    self._connection, self._uploads, header, files
                )
                files = []
            except WarmstartError as error:
                if error.code == grpc.StatusCode.ALREADY_EXISTS:
                    files = []  # the answer is there to be asked for
                elif error.code != grpc.StatusCode.UNIMPLEMENTED:
                    raise
        # Each try sends the stream from its start, under the same request_id.
        return self._connection.retry(
            lambda: self._models.SaveModel(
                transfer.upload_stream(header, files),
                **self._connection.call_options,
            )
        )

    def _download(
        self,
        handle: str | Mapping[str, str],
        file: IO[bytes],
        file_format: str | None,
    ) -> str | dict[str, str]:
        request = requests.download(handle, file_format)

        def resume() -> str | dict[str, str]:
            # What was written stays: a file's bytes are always the same. The names
            # are kept too, since an alias may move between two tries.
            request.offset = file.tell()
            stream = self._checkpoints.DownloadCheckpoint(
                request, **self._connection.call_options
            )
            for message in stream:
                request.name = message.checkpoint or request.name
                # The first message alone has them.
                for i, name in enumerate(message.part_checkpoints):
                    request.parts[i].checkpoint = name
                file.write(message.chunk)
            if request.parts:
                return {part.key: part.checkpoint for part in request.parts}
            return request.name

        return self._connection.retry(resume)

    def _pages(
        self,
        method: Callable[[object], object],
        request: object,
        items: Callable[[object], Sequence[Item]],
    ) -> Iterator[Item]:
        while True:
            page = self._connection.call(method, request)
            yield from items(page)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token
