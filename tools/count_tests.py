#!/usr/bin/env python3
"""Sums JUnit files up in one line: `N passed, N failed, N skipped`.

Exits with 1 unless tests ran and none failed.
"""

import argparse
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path


def outcome(case: ElementTree.Element) -> str:
    children = {child.tag for child in case}
    if children & {"failure", "error"}:
        return "failed"
    # ctest writes what it did not run without a child.
    if "skipped" in children or case.get("status") in {"notrun", "disabled"}:
        return "skipped"
    return "passed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--failed-step", help="a step that failed, of whatever")
    options = parser.parse_args()

    counts: Counter[str] = Counter()
    for file in sorted(options.folder.glob("*.xml")):
        for case in ElementTree.parse(file).iter("testcase"):
            counts[outcome(case)] += 1
    if options.failed_step and not counts["failed"]:
        print(f"{options.failed_step}: failed")
        counts["failed"] += 1
    print(
        f"{counts['passed']} passed, {counts['failed']} failed, "
        f"{counts['skipped']} skipped"
    )
    return 0 if counts["passed"] and not counts["failed"] else 1


if __name__ == "__main__":
    sys.exit(main())
