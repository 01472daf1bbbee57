"""Runs lines of Python from standard input, shown as if a person typed them."""

import sys

namespace: dict[str, object] = {}
for line in sys.stdin:
    print(">>>", line.rstrip(), flush=True)
    # "single" prints the value of an expression, as the prompt does.
    exec(compile(line, "<demo>", "single"), namespace)
