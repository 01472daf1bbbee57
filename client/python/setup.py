"""Makes the API's stubs first; pyproject.toml has all the rest."""

import sys
from pathlib import Path

from setuptools import setup

sys.path.insert(0, str(Path(__file__).resolve().parent))

import generate_stubs

# Every step of a build looks for the package's folders, so before all of them.
generate_stubs.generate()
setup()
