from __future__ import annotations

import json

import pytest

from warpline.backends import select
from warpline.cli.demo import write_pair
from warpline.cli.main import main
from warpline.io.transform_files import write_transform
from warpline.phantom import brain_pair


@pytest.fixture(scope="session")
def phantom():
    return brain_pair((32, 37, 32), voxel_size=6.0)


@pytest.fixture(scope="session")
def pair(phantom, tmp_path_factory):
    """Files of a small synthetic pair, its true maps included, by what they are."""
    folder = tmp_path_factory.mktemp("pair")
    warp, affine = phantom.transform.parts
    truth = {
        "warp": folder / "1Warp.nii.gz",
        "inverse": folder / "1InverseWarp.nii.gz",
        "affine": folder / "0GenericAffine.mat",
    }
    for transform, path in zip((warp, warp.inverse(), affine), truth.values(), strict=True):
        write_transform(transform, path)
    return write_pair(phantom, folder) | {name: str(path) for name, path in truth.items()} | {"prefix": f"{folder}/"}


@pytest.fixture
def backend():
    return select("numpy")


@pytest.fixture
def call(capsys):
    """Run a command that must work, and return its result."""

    def run(*arguments):
        capsys.readouterr()
        code = main([*arguments, "--json"])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return json.loads(captured.out)

    return run


@pytest.fixture
def refused(capsys):
    """Run a command that must fail with `code`, and return its one line."""

    def run(code, *arguments):
        capsys.readouterr()
        assert main(list(arguments)) == code
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        return line

    return run


@pytest.fixture
def through(pair):
    return ("-t", pair["warp"], "-t", pair["affine"])
