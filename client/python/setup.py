"""Makes the API's stubs as part of a build; pyproject.toml has the rest."""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).resolve().parent))

import generate_stubs


class BuildWithStubs(build_py):
    """Generates warmstart/v1/ before the package's modules are collected."""

    def run(self) -> None:
        """Runs the command."""
        generate_stubs.generate()
        super().run()


setup(cmdclass={"build_py": BuildWithStubs})
