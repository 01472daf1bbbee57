"""The transcript in docs/architectures.md is what happens."""

from __future__ import annotations

import contextlib
import io
import re
import warnings

import timm  # noqa: F401  before warnings are errors
from harness.server import REPOSITORY

GUIDE = REPOSITORY / "docs" / "architectures.md"
ADDRESS = '"localhost:50051"'


def transcript() -> tuple[str, str]:
    """The program and its output."""
    [(program, output)] = re.findall(
        r"```python\n(import timm\n.*?)```\n\n```text\n(.*?)```",
        GUIDE.read_text(),
        re.DOTALL,
    )
    assert ADDRESS in program
    return program, output


def test_the_transcript_is_what_the_program_prints(server):
    program, output = transcript()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm's own use of deprecated functions
        exec(program.replace(ADDRESS, repr(server.address)), {"__name__": "guide"})
    assert printed.getvalue() == output
