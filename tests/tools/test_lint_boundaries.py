"""The boundary lint finds each kind of broken arrow, and nothing in a sound tree."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

LINT = Path(__file__).resolve().parents[2] / "tools" / "lint_boundaries.py"

SOUND = {
    "server/CMakeLists.txt": "target_link_libraries(warmstart-server warmstart_rpc)\n",
    "server/main.cc": (
        '#include "grpcpp/server.h"\n'
        '#include "server/rpc/server.h"\n'
        '#include "server/torch/device.h"\n'
    ),
    "server/base/clock.h": (
        "// Time.\n"
        "#ifndef WARMSTART_SERVER_BASE_CLOCK_H_\n"
        "#define WARMSTART_SERVER_BASE_CLOCK_H_\n"
        "#endif  // WARMSTART_SERVER_BASE_CLOCK_H_\n"
    ),
    "server/format/CMakeLists.txt": "warmstart_room(format DEPS warmstart_model)\n",
    "server/format/zip.cc": '#include <vector>\n#include "server/model/dtype.h"\n',
    "server/model/CMakeLists.txt": "warmstart_room(model DEPS warmstart_base)\n",
    "server/rpc/CMakeLists.txt": (
        "warmstart_room(rpc DEPS warmstart_service warmstart_proto gRPC::grpc++)\n"
    ),
    "server/rpc/convert.cc": (
        '#include "server/service/service.h"\n#include "warmstart/v1/report.pb.h"\n'
    ),
    "server/store/catalog.cc": "#include <sqlite3.h>\n",
    "server/torch/CMakeLists.txt": (
        "warmstart_room(torch DEPS warmstart_model PRIVATE_DEPS LibTorch::LibTorch)\n"
    ),
    "server/torch/net.cc": "#include <torch/nn.h>\n",
    "client/cpp/client.cc": '#include "warmstart/v1/report.grpc.pb.h"\n',
    "client/cli/main.cc": '#include "client/cpp/client.h"\n',
    "tests/format/zip_test.cc": (
        '#include "gtest/gtest.h"\n'
        '#include "server/format/zip.h"\n'
        '#include "tests/testing/temp_dir.h"\n'
    ),
}

# What is added to the sound tree, and what the lint has to say.
BROKEN = {
    "store_knows_format": (
        {"server/store/a.cc": '\n#include "server/format/zip.h"\n'},
        "server/store/a.cc:2: server/store must not know server/format",
    ),
    "model_knows_store": (
        {"server/model/a.cc": '#include "server/store/store.h"\n'},
        "server/model/a.cc:1: server/model must not know server/store",
    ),
    "base_knows_model": (
        {"server/base/a.cc": '#  include "server/model/dtype.h"\n'},
        "server/base/a.cc:1: server/base must not know server/model",
    ),
    "service_knows_rpc": (
        {"server/service/a.cc": '#include "server/rpc/server.h"\n'},
        "server/service/a.cc:1: server/service must not know server/rpc",
    ),
    "rpc_knows_planner": (
        {"server/rpc/a.cc": '#include "server/planner/plan.h"\n'},
        "server/rpc/a.cc:1: server/rpc must not know server/planner",
    ),
    "client_knows_server": (
        {"client/cpp/a.cc": '#include "server/base/clock.h"\n'},
        "client/cpp/a.cc:1: client/cpp must not know server/base",
    ),
    "library_knows_command": (
        {"client/cpp/a.cc": '#include "client/cli/flags.h"\n'},
        "client/cpp/a.cc:1: client/cpp must not know client/cli",
    ),
    "test_knows_another_room": (
        {"tests/planner/a_test.cc": '#include "server/store/store.h"\n'},
        "tests/planner/a_test.cc:1: tests/planner must not know server/store",
    ),
    "libtorch_outside_its_room": (
        {"server/service/a.cc": "#include <ATen/ATen.h>\n"},
        "server/service/a.cc:1: server/service must not know LibTorch",
    ),
    "libtorch_in_main": (
        {"server/main.cc": "#include <c10/util/Exception.h>\n"},
        "server/main.cc:1: server must not know LibTorch",
    ),
    "grpc_in_service": (
        {"server/service/a.cc": "#include <grpcpp/grpcpp.h>\n"},
        "server/service/a.cc:1: server/service must not know gRPC",
    ),
    "generated_code_in_planner": (
        {"server/planner/a.cc": '#include "warmstart/v1/report.pb.h"\n'},
        "server/planner/a.cc:1: server/planner must not know gRPC",
    ),
    "sqlite_outside_store": (
        {"server/service/a.cc": "#include <sqlite3.h>\n"},
        "server/service/a.cc:1: server/service must not know SQLite",
    ),
    "unqualified_include": (
        {"server/format/a.cc": '#include "zip.cc"\n'},
        'server/format/a.cc:1: "zip.cc" is to be included by its full path',
    ),
    "file_outside_all_rooms": (
        {"server/attic/a.cc": "\n"},
        "server/attic/a.cc:1: is in no room that this lint knows",
    ),
    "wrong_guard": (
        {"server/base/a.h": "#ifndef A_H_\n#define A_H_\n#endif  // A_H_\n"},
        "server/base/a.h:1: the include guard should be WARMSTART_SERVER_BASE_A_H_",
    ),
    "guard_that_guards_nothing": (
        {
            "server/base/a.h": (
                "#ifndef WARMSTART_SERVER_BASE_A_H_\n"
                "#define WARMSTART_SERVER_BASE_B_H_\n"
                "#endif  // WARMSTART_SERVER_BASE_A_H_\n"
            )
        },
        "server/base/a.h:1: the include guard should be WARMSTART_SERVER_BASE_A_H_",
    ),
    "target_links_another_room": (
        {
            "server/planner/CMakeLists.txt": "warmstart_room(planner DEPS\n"
            "  warmstart_format)\n"
        },
        "server/planner/CMakeLists.txt:2: server/planner must not know server/format",
    ),
    "target_links_libtorch": (
        {"server/store/CMakeLists.txt": "warmstart_room(s DEPS LibTorch::LibTorch)"},
        "server/store/CMakeLists.txt:1: server/store must not know LibTorch",
    ),
    "target_links_generated_code": (
        {"server/service/CMakeLists.txt": "warmstart_room(s DEPS warmstart_proto)"},
        "server/service/CMakeLists.txt:1: server/service must not know gRPC",
    ),
}


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def lint(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, LINT, "--root", root, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tree(tmp_path):
    write(tmp_path, SOUND)
    return tmp_path


def test_sound_tree_passes(tree):
    result = lint(tree)

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("case", BROKEN)
def test_broken_rule_is_named_with_its_line(tree, case):
    files, complaint = BROKEN[case]
    write(tree, files)

    result = lint(tree)

    assert result.returncode == 1
    assert result.stdout.splitlines() == [complaint]


def compile_commands(tree: Path, source: str) -> Path:
    """A compilation database in which `source` gets LibTorch's include folder."""
    write(tree, {"wheel/include/ATen/ATen.h": ""})
    database = tree / "compile_commands.json"
    command = f"c++ -I{tree} -isystem {tree}/wheel/include -c {source}"
    entry = {"directory": str(tree), "file": source, "command": command}
    database.write_text(json.dumps([entry]))
    return database


def test_libtorch_folder_is_for_its_room(tree):
    database = compile_commands(tree, "server/torch/net.cc")

    assert lint(tree, "--compile-commands", database).returncode == 0


@pytest.mark.parametrize(
    "source", ["server/rpc/convert.cc", "server/main.cc", "build/report.pb.cc"]
)
def test_libtorch_folder_on_another_path_is_refused(tree, source):
    database = compile_commands(tree, source)

    result = lint(tree, "--compile-commands", database)

    assert result.returncode == 1
    assert f"{source}: is compiled with LibTorch's include folder" in result.stdout
