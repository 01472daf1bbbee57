"""Rules, adapters, averages and gates, by the command line and the real server."""

from __future__ import annotations

import json

import pytest
import torch
from harness.cli import NOT_MET
from harness.nets import NetA
from harness.tensors import assert_same_state
from safetensors.torch import save_file

LAYERS = 4


@pytest.fixture
def transformer(cli, tmp_path):
    """A target of four layers with fused projections, and its state_dict."""
    generator = torch.Generator().manual_seed(1)
    state = {"embed.weight": torch.randn(10, 6, generator=generator)}
    for layer in range(LAYERS):
        state[f"h.{layer}.qkv.weight"] = torch.randn(18, 6, generator=generator)
        state[f"h.{layer}.out.weight"] = torch.randn(6, 6, generator=generator)
    entries = [{"key": key, "shape": list(t.shape)} for key, t in state.items()]
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"name": "Fused", "entries": entries}))
    cli.done("architectures", "register", schema)
    return state


def save(cli, folder, state) -> str:
    save_file({k: t.contiguous() for k, t in state.items()}, folder / "s.safetensors")
    return cli.handle("save", folder / "s.safetensors")


def download(cli, folder, handle):
    cli.done("download", handle, "-o", folder / "out.pt")
    return torch.load(folder / "out.pt", weights_only=True)


def separate(state):
    """The same model as another code base names it."""
    other = {}
    for key, tensor in state.items():
        if key.endswith("qkv.weight"):
            for name, part in zip("qkv", tensor.chunk(3), strict=True):
                other["model." + key.replace("qkv", f"{name}_proj")] = part
        else:
            other["model." + key] = tensor
    return other


RULES = """
- strip_prefix: model.
- convert:
    from: ["h.{i}.q_proj.weight", "h.{i}.k_proj.weight", "h.{i}.v_proj.weight"]
    to: ["h.{i}.qkv.weight"]
    steps: [{concat: {dim: 0}}]
"""


def test_rules_from_a_file_convert_and_are_undone(cli, tmp_path, transformer):
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    other = separate(transformer)
    handle = save(cli, tmp_path, other)
    started = cli.done(
        "warm-start", "Fused", "--from", handle, "--rules", rules, "--strict", "--json"
    ).json()
    assert started["report"]["summary"] == "<All keys matched successfully>"
    fused = next(
        e for e in started["report"]["entries"] if e["key"] == "h.2.qkv.weight"
    )
    assert fused["outcome"] == "TARGET_OUTCOME_ADAPTED"
    assert "concat(model.h.2.q_proj.weight, " in fused["derivation"]
    assert len(fused["more_sources"]) == 2
    result = started["checkpoint"]["name"]
    assert_same_state(download(cli, tmp_path, result), transformer)

    entries = [{"key": key, "shape": list(t.shape)} for key, t in other.items()]
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"name": "Separate", "entries": entries}))
    cli.done("architectures", "register", schema)
    undone = cli.done(
        "warm-start", "Separate", "--from", result, "--rules", rules, "--invert",
        "--strict", "--quiet",
    ).out.strip()  # fmt: skip
    assert_same_state(download(cli, tmp_path, undone), other)


def test_a_dry_run_reports_what_the_run_does(cli, tmp_path, transformer):
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    handle = save(cli, tmp_path, separate(transformer))
    command = ["warm-start", "Fused", "--from", handle, "--rules", rules, "--json"]
    assert (
        cli.done(*command, "--dry-run").json()["report"]
        == cli.done(*command).json()["report"]
    )


def test_a_report_by_module_folds_layers(cli, tmp_path, transformer):
    handle = save(cli, tmp_path, transformer)
    out = cli.done("warm-start", "Fused", "--from", handle, "--tree").out
    assert "h.{0...3}" in out
    assert "4 layers" in out
    assert out.count("qkv.weight") == 1


def test_suggestions_can_be_pasted_back(cli, tmp_path, transformer):
    wrapped = {f"module.{key}": tensor for key, tensor in transformer.items()}
    handle = save(cli, tmp_path, wrapped)
    command = ["warm-start", "Fused", "--from", handle]
    report = cli.done(*command, "--dry-run", "--json").json()["report"]
    [first, *_] = report["suggestions"]
    assert first["rule"] == "--strip-prefix module."
    assert int(first["keys"]) == len(transformer)
    pasted = cli.done(*command, *first["rule"].split(), "--strict", "--quiet").out
    assert_same_state(download(cli, tmp_path, pasted.strip()), transformer)
    automatic = cli.done(*command, "--match", "auto", "--strict", "--quiet").out
    assert_same_state(download(cli, tmp_path, automatic.strip()), transformer)


def test_other_classes_are_adapted_and_said_so(cli, tmp_path):
    state = NetA().state_dict()
    more = torch.randn(15, state["fc3.weight"].shape[1])
    state["fc3.weight"], state["fc3.bias"] = more, torch.randn(15)
    handle = save(cli, tmp_path, state)
    started = cli.done(
        "warm-start", "NetA", "--from", handle, "--adapt", "fc3.*=rows", "--json"
    ).json()
    result = download(cli, tmp_path, started["checkpoint"]["name"])
    assert torch.equal(result["fc3.weight"], more[:10])
    [head] = [e for e in started["report"]["entries"] if e["key"] == "fc3.weight"]
    assert head["adaptation"]


def test_averages_are_of_all_sources(cli, tmp_path):
    states = [NetA().state_dict() for _ in range(3)]
    handles = [save(cli, tmp_path, state) for state in states]
    sources = [word for handle in handles for word in ("--from", handle)]
    out = cli.done(
        "warm-start", "NetA", *sources, "--combine", "average", "--quiet"
    ).out
    result = download(cli, tmp_path, out.strip())
    for key, tensor in result.items():
        mean = sum(state[key].double() for state in states) / 3
        torch.testing.assert_close(tensor.double(), mean, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--coverage", "conv*=1.0", "--coverage", "fc*=1"], "fc*"),
        (["--strict", "--expect-missing", "fc3\\.weight"], "fc3.bias"),
        (["--refuse-non-finite"], "conv1.weight"),
    ],
    ids=["coverage", "expected", "finite"],
)
def test_a_gate_that_is_not_met_stores_nothing(cli, tmp_path, flags, words):
    state = NetA().state_dict()
    del state["fc3.weight"], state["fc3.bias"]
    state["conv1.weight"][0, 0, 0, 0] = float("nan")
    handle = save(cli, tmp_path, state)
    before = len(cli.done("list", "--json").json()["checkpoints"])
    ran = cli.run("warm-start", "NetA", "--from", handle, *flags)
    assert ran.code == NOT_MET
    assert words in ran.err
    assert len(cli.done("list", "--json").json()["checkpoints"]) == before


def test_expected_keys_are_no_surprise(cli, tmp_path):
    state = NetA().state_dict()
    del state["fc3.weight"], state["fc3.bias"]
    state["extra"] = torch.zeros(1)
    handle = save(cli, tmp_path, state)
    out = cli.done(
        "warm-start", "NetA", "--from", handle, "--strict",
        "--expect-missing", "^fc3", "--expect-unexpected", "extra",
    ).out  # fmt: skip
    assert "<All keys matched successfully>" in out


def test_a_diff_tells_what_changed(cli, tmp_path):
    state = NetA().state_dict()
    base = save(cli, tmp_path, state)
    state["fc1.bias"] = state["fc1.bias"] + 1
    state["head.weight"] = state.pop("fc3.weight")
    other = save(cli, tmp_path, state)
    diff = cli.done("diff", base, other, "--json").json()
    kinds = {entry["key"]: entry["kind"] for entry in diff["entries"]}
    assert kinds == {
        "fc1.bias": "DIFF_KIND_CHANGED",
        "head.weight": "DIFF_KIND_MOVED",
    }
    assert diff["base"] == base
    assert "moved: 1 key" in cli.done("diff", base, other).out


def test_a_mistake_in_a_rule_names_it(cli, tmp_path, transformer):
    handle = save(cli, tmp_path, transformer)
    ran = cli.run(
        "warm-start", "Fused", "--from", handle, "--template", "h.{i}=h.{j+1}"
    )
    assert ran.code == 1
    assert "key_rules[0].template.from" in ran.err
