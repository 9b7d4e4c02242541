"""Tests mirror the source, their names are short, and nothing is defined that nothing uses."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "warpline"
NAME_LENGTH = 60

ROOMS = tuple(sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py")))
"""Folders of the package, whose every module has a test file of its own."""

CONTRACTS = {
    "affine_problem": ["test_contract.py", "test_contract_affine.py", "test_cuda_bfgs.py"],
    "arrays": ["test_contract.py"],
    "cuda_backend": ["test_contract.py", "test_contract_fields.py", "test_contract_similarity.py"],
    "cuda_descriptors": ["test_contract_descriptors.py"],
    "cuda_information": ["test_contract_information.py"],
    "cuda_filters": ["test_contract_filters.py"],
    "cuda_motion": ["test_contract_motion.py"],
    "cuda_points": ["test_contract_affine.py"],
    "cuda_splines": ["test_contract_splines.py"],
    "cuda_values": ["test_contract_values.py"],
    "descriptors": ["test_contract_descriptors.py"],
    "host_backend": ["test_contract.py", "test_contract_fields.py"],
    "interface": ["test_contract.py"],
    "numba_affine": ["test_contract_affine.py"],
    "numba_backend": ["test_contract.py"],
    "numba_descriptors": ["test_contract_descriptors.py"],
    "numba_fields": ["test_contract_fields.py", "test_contract_filters.py"],
    "numba_information": ["test_contract_information.py"],
    "numba_motion": ["test_contract_motion.py"],
    "numba_label_fusion": ["test_label_fusion.py"],
    "numba_jacobian": ["test_contract_tetrahedra.py"],
    "numba_scales": ["test_contract_filters.py"],
    "numba_sampling": ["test_contract_sampling.py"],
    "numba_similarity": ["test_contract_similarity.py"],
    "numba_smoothing": ["test_contract_filters.py"],
    "numba_values": ["test_contract_values.py"],
    "numpy_backend": ["test_contract.py", "test_contract_fields.py", "test_contract_similarity.py"],
    "numpy_descriptors": ["test_contract_descriptors.py"],
    "numpy_information": ["test_contract_information.py"],
    "numpy_label_fusion": ["test_label_fusion.py"],
    "numpy_motion": ["test_contract_motion.py"],
    "numpy_points": ["test_contract_affine.py"],
    "numpy_tetrahedra": ["test_contract_tetrahedra.py"],
    "motion": ["test_contract_motion.py"],
    "similarity": ["test_contract_similarity.py", "test_contract_information.py"],
    "tetrahedra": ["test_contract_tetrahedra.py"],
    "scipy_splines": ["test_contract_splines.py"],
}
"""Modules of `backends` that implement operations, or are their types, and the files that test them.

An operation is specified once and implemented by every backend, so it is tested once, on every backend; a file for each
implementation would repeat its tests.
"""

CONTRACT_FILES = {f"backends/{name}" for names in CONTRACTS.values() for name in names if "contract" in name}

ACROSS = {
    "backends/test_agreement.py": "a registration on every backend",
    "backends/test_cuda_gpu.py": "registrations on a real GPU",
    "backends/test_select.py": "the choice of a backend, in backends/__init__.py",
    "dipy/test_dipys_own_suite.py": "DIPY's tests on our classes",
    "dipy/test_signatures.py": "DIPY's arguments, of everything that has its names",
    "dipy/test_tutorials.py": "DIPY's tutorials",
    "io/transform_files/test_hostile_files.py": "damage in every format",
    "io/transform_files/test_real_files.py": "files that other tools wrote",
    "io/transform_files/test_transform_files.py": "the table of formats",
    "kernels/test_compile.py": "every kernel compiles for every GPU",
    "metrics/test_deformable_metrics.py": "what every deformable metric promises",
    "metrics/test_linear_metrics.py": "what every linear metric promises",
    "operations/test_flat_images.py": "transforms of 2-D images, by every operation",
    "operations/test_peers.py": "the same operations by other packages",
    "report/test_pair_viewer.py": "pair_viewer.js in a browser",
    "resampling/test_scipys_own_suite.py": "SciPy's tests on our functions",
    "space/test_operators.py": "what every transform can do",
}
"""Test files of these rooms that belong to no single module, and what they test."""


def modules(room):
    """Modules of a room, relative to the package."""
    files = (path.relative_to(PACKAGE) for path in sorted((PACKAGE / room).rglob("*.py")))
    return [one for one in files if one.name != "__init__.py"]


def files_of(room):
    return [path.relative_to(ROOT / "tests") for path in sorted((ROOT / "tests" / room).rglob("test_*.py"))]


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_has_a_test_file(room):
    under_contract = {Path("backends", f"{name}.py") for name in CONTRACTS}
    mirror = {one.with_name(f"test_{one.name}") for one in modules(room) if one not in under_contract}
    assert sorted(mirror - set(files_of(room))) == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_test_file_has_a_module(room):
    mirror = {one.with_name(f"test_{one.name}") for one in modules(room)}
    across = {Path(name) for name in (*ACROSS, *CONTRACT_FILES)}
    assert sorted(set(files_of(room)) - mirror - across) == []


def test_the_tables_of_this_file_name_modules_and_files():
    files = {f"backends/{name}" for names in CONTRACTS.values() for name in names} | ACROSS.keys()
    assert {name for name in files if not (ROOT / "tests" / name).exists()} == set()
    assert CONTRACTS.keys() <= {one.stem for one in modules("backends")}


@pytest.mark.parametrize("path", files_of("."), ids=str)
def test_names_of_tests_are_short(path):
    tree = ast.parse((ROOT / "tests" / path).read_text())
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert {name for name in names if name.startswith("test_") and len(name) >= NAME_LENGTH} == set()


def names_read(tree: ast.AST) -> Iterator[str]:
    """Names, attributes and words in strings that a module reads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield node.value
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)


def names_defined(tree: ast.Module) -> Iterator[str]:
    """Functions, classes and constants of a module."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))


def test_every_name_of_the_package_is_used():
    files = [path for part in ("src", "bench", "examples") for path in (ROOT / part).rglob("*.py")]
    trees = {path: ast.parse(path.read_text()) for path in files}
    read = {name for tree in trees.values() for name in names_read(tree)}
    dead = {
        f"{path.stem}.{name}"
        for path, tree in trees.items()
        if PACKAGE in path.parents
        for name in names_defined(tree)
        if name not in read and not name.startswith("__")
    }
    assert dead == set()
