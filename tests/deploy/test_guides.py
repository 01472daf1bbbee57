"""What the guides tell people to type is there to be typed."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from harness.deployment import CHART, ran, rendered, tool
from harness.server import REPOSITORY, binary

DOCS = REPOSITORY / "docs" / "deploy"
GUIDES = [*sorted(DOCS.glob("*.md")), CHART / "README.md"]
every_guide = pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)


def commands(guide: Path) -> list[list[str]]:
    """The commands of a guide's shell blocks, as words, with what stands before && as
    one of its own."""
    found = []
    for block in re.findall(r"^```sh\n(.*?)^```", guide.read_text(), re.S | re.M):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                found.append(words[1:] if words[0] == "sudo" else words)
    return found


def all_commands(program: str) -> list[list[str]]:
    found = [
        words
        for guide in GUIDES
        for words in commands(guide)
        if Path(words[0]).name == program
    ]
    assert found, program
    return found


def slug(heading: str) -> str:
    """A heading's anchor, as forges make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@every_guide
def test_links_lead_somewhere(guide):
    for target in re.findall(r"\]\(([^)\s]+)\)", guide.read_text()):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = (guide.parent / path).resolve() if path else guide
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
            assert anchor in map(slug, headings), target


def test_every_guide_is_in_the_index():
    index = (DOCS / "README.md").read_text()
    for guide in DOCS.glob("*.md"):
        assert guide.name == "README.md" or f"]({guide.name})" in index


def test_files_that_commands_name_are_there():
    for guide in GUIDES:
        for words in commands(guide):
            for word in words:
                if word.startswith("deploy/"):
                    assert (REPOSITORY / word).exists(), word


def test_make_has_the_targets():
    makefile = (REPOSITORY / "Makefile").read_text()
    for _, target, *_ in all_commands("make"):
        assert re.search(rf"^{target}:", makefile, re.M), target


def flags(words: list[str]) -> set[str]:
    return {word.split("=")[0] for word in words if word.startswith("--")}


def test_the_command_line_has_the_commands_and_flags():
    told = all_commands("warmstart")
    # Also by way of `docker exec warmstart`.
    told += [words[3:] for words in all_commands("docker") if words[1] == "exec"]
    for _, command, *rest in [["warmstart", *words[1:]] for words in told]:
        known = ran(binary("warmstart"), "help", command)
        for flag in flags(rest):
            assert re.search(rf"{flag}\b", known), f"warmstart {command} {flag}"


def test_the_server_has_the_flags():
    known = ran(binary("warmstart-server"), "--help")
    told = all_commands("warmstart-server")
    # What follows the image's name.
    for words in all_commands("docker"):
        for image in ("warmstart:0.1.0", "warmstart:0.1.0-cuda"):
            if words[1] == "run" and image in words:
                told.append(words[words.index(image) + 1 :])
    for words in told:
        for flag in flags(words):
            assert re.search(rf"{flag}\b", known), flag


def test_helm_takes_the_values():
    for words in all_commands("helm"):
        if words[1] not in ("install", "upgrade"):
            continue
        chart = REPOSITORY / words[words.index("deploy/helm/warmstart")]
        values = [
            word
            for flag, value in itertools.pairwise(words)
            if flag == "--set"
            for word in (flag, value)
        ]
        ran(
            tool("helm"), "template", "warmstart", chart, "--kube-version=1.34", *values
        )


def yaml_of_the_guide() -> list[dict]:
    text = (DOCS / "kubernetes.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.S | re.M)
    return [yaml.safe_load(block) for block in blocks]


def test_values_of_the_guide_are_taken_by_the_chart(tmp_path):
    values = [each for each in yaml_of_the_guide() if "kind" not in each]
    assert values
    for number, each in enumerate(values):
        file = tmp_path / f"{number}.yaml"
        file.write_text(yaml.safe_dump(each))
        ran(
            *(tool("helm"), "template", "warmstart", CHART),
            *("--kube-version=1.34", f"--values={file}"),
        )


def test_the_guides_monitor_finds_the_servers_metrics(tmp_path):
    [monitor] = [each for each in yaml_of_the_guide() if "kind" in each]
    values = tmp_path / "values.yaml"
    values.write_text("metrics: {enabled: true}")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    ports = [
        port["name"]
        for each in rendered(values)
        if each["kind"] == "Service" and wanted <= each["metadata"]["labels"].items()
        for port in each["spec"]["ports"]
    ]
    [endpoint] = monitor["spec"]["endpoints"]
    assert ports.count(endpoint["port"]) == 1


def test_drop_ins_are_understood_by_systemd(tmp_path):
    unit = (REPOSITORY / "deploy/systemd/warmstart.service").read_text()
    unit = unit.replace("/opt/warmstart/bin/warmstart-server", "/bin/true")
    for guide in (DOCS / "systemd.md", DOCS / "gpu.md"):
        [drop_in] = re.findall(r"^```ini\n(.*?)^```", guide.read_text(), re.S | re.M)
        folder = tmp_path / guide.stem
        folder.mkdir()
        # systemd reads drop-ins of installed units alone; behind the unit, the same
        # lines say the same.
        head, _, install = unit.partition("[Install]")
        settings = drop_in.removeprefix("[Service]\n")
        file = folder / "warmstart.service"
        file.write_text(f"{head}{settings}\n[Install]{install}")
        assert ran("systemd-analyze", "verify", "--man=no", file) == ""


def test_the_packages_that_a_machine_needs_are_those_that_programs_are_linked_with():
    text = (DOCS / "systemd.md").read_text()
    [block] = re.findall(r"--no-install-recommends (.*?)^```", text, re.S | re.M)
    told = set(block.replace("\\\n", " ").split())
    needed = set()
    for program in ("warmstart", "warmstart-server"):
        linked = ran("ldd", binary(program))
        for path in re.findall(r"=> (/(?:usr/)?lib/\S+)", linked):
            real = Path(path).resolve()
            for name in (real, Path(str(real).removeprefix("/usr"))):
                done = subprocess.run(
                    ["dpkg-query", "--search", name], capture_output=True, check=False
                )
                if done.returncode == 0:
                    needed.add(done.stdout.decode().split(":")[0])
                    break
    # What they bring along, and what every Debian has.
    closure = ran(
        *("apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests"),
        *("--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances", *told),
    )
    brought = set(
        re.findall(r"^ *(?:\|?Depends: |PreDepends: )?([\w.+-]+)$", closure, re.M)
    )
    assert needed <= told | brought, needed - told - brought
