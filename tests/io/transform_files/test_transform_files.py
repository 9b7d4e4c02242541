"""The table of formats: what is written is read again, known for what it is, and asks for what it lacks."""

from __future__ import annotations

from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import loadmat

from made_transforms import (
    PAIRS,
    inner_points,
    made_affine,
    made_chain,
    made_displacement,
    made_for,
    made_grid,
    made_pair,
)
from warpline.errors import InputError, UsageError
from warpline.io.transform_files import FORMATS, identify, read_transform, write_transform
from warpline.io.transform_files.itk_parameters import LINEAR
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import Grid

WRITTEN = {name: known for name, known in FORMATS.items() if known.encode is not None}
AMBIGUOUS = ("matrix", "fsl-flirt")
"""Formats whose files do not tell what they are."""

some = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def holding(*kinds):
    return [name for name, known in WRITTEN.items() if known.holds in kinds and not name.endswith("-2d")]


def stored(path, name):
    return path / f"t{FORMATS[name].suffixes[0]}"


def gap_in_voxels(ours, expected, grid):
    return np.abs(ours - expected).max() / grid.voxel_size.min()


@pytest.mark.parametrize("name", holding(Affine, Chain))
@some
@given(seed=st.integers(0, 10**6), pair=st.sampled_from(PAIRS))
def test_affines_are_kept(tmp_path, name, seed, pair):
    fixed, moving = made_pair(*pair)
    path, affine = stored(tmp_path, name), made_affine(seed)
    write_transform(affine, path, name, fixed=fixed, moving=moving)
    back = read_transform(path, name, fixed=fixed, moving=moving)
    assert isinstance(back, Affine)
    np.testing.assert_allclose(back.matrix, affine.matrix, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", holding(Displacement))
@some
@given(seed=st.integers(0, 10**6), pair=st.sampled_from(PAIRS))
def test_displacements_are_kept_to_1e_5_of_a_voxel(tmp_path, name, seed, pair):
    fixed, moving = made_pair(*pair)
    path, field = stored(tmp_path, name), made_displacement(fixed, seed)
    write_transform(field, path, name, fixed=fixed, moving=moving)
    back = read_transform(path, name, fixed=fixed, moving=moving)
    points = inner_points(fixed, seed=seed)
    assert gap_in_voxels(back.map_points(points), field.map_points(points), fixed) <= 1e-5


@pytest.mark.parametrize("name", [name for name in holding(Displacement) if name != "dipy-mapping"])
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_a_chain_is_put_on_the_grid_of_its_first_part(tmp_path, name, pair):
    fixed, moving = made_pair(*pair)
    path, chain = stored(tmp_path, name), made_chain(fixed)
    write_transform(chain, path, name, moving=moving)
    back, points = read_transform(path, name, fixed=fixed, moving=moving), inner_points(fixed)
    assert gap_in_voxels(back.map_points(points), chain.map_points(points), fixed) <= 1e-5
    assert np.abs(chain.map_points(points) - made_displacement(fixed).map_points(points)).max() > 1


@pytest.mark.parametrize("name", holding(Chain))
@some
@given(seed=st.integers(0, 10**6), kinds=st.lists(st.sampled_from((Affine, Displacement)), min_size=2, max_size=5))
def test_chains_keep_their_parts_and_every_bit(tmp_path, name, seed, kinds):
    grids = [made_grid(axes) for axes in ("oblique", "straight")]
    makers = {Affine: made_affine, Displacement: lambda n: made_displacement(grids[n % 2], n)}
    chain = Chain(tuple(makers[kind](seed + n) for n, kind in enumerate(kinds)))
    write_transform(chain, stored(tmp_path, name))
    back = read_transform(stored(tmp_path, name))
    assert [type(part) for part in back.parts] == kinds
    for ours, theirs in zip(back.parts, chain.parts, strict=True):
        if isinstance(ours, Affine):
            np.testing.assert_allclose(ours.matrix, theirs.matrix, rtol=0, atol=1e-13)
        else:
            np.testing.assert_array_equal(ours.field, theirs.field)
            assert ours.grid == theirs.grid


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_that_was_written_is_known_for_what_it_is(tmp_path, name):
    fixed, moving = made_pair("left-handed", "oblique")
    made, path = made_for(name, FORMATS[name].holds, fixed), stored(tmp_path, name)
    write_transform(made, path, name, moving=moving, fixed=None if name.endswith("-2d") else fixed)
    points = np.array([(-4.0, 5, 0), (-9, 12, 0)]) if name.endswith("-2d") else inner_points(fixed)
    back = read_transform(path, name, fixed=fixed, moving=moving)
    assert gap_in_voxels(back.map_points(points), made.map_points(points), fixed) <= 1e-5
    if name in AMBIGUOUS:
        with pytest.raises(InputError, match=r"does not say what it is; name its format .* matrix: .*; fsl-flirt: "):
            identify(path)
        assert identify(path, name, fixed=fixed, moving=moving).format == name
        return
    found = identify(path, fixed=fixed, moving=moving)
    assert found.format == name.removesuffix("-relative").removesuffix("-absolute")
    assert found.kind in ("affine", "displacement", "chain") and found.needs == ""
    assert found.grids == tuple(part.grid for part in found.parts if isinstance(part, Displacement))
    assert found.stores and found.unit and found.about


@pytest.mark.parametrize("name", [name for name, known in WRITTEN.items() if known.needs_grids])
def test_a_file_that_lacks_its_images_is_described_all_the_same(tmp_path, name):
    fixed, moving = made_pair("left-handed", "oblique")
    path = stored(tmp_path, name)
    write_transform(made_for(name, FORMATS[name].holds, fixed), path, name, fixed=fixed, moving=moving)
    found = identify(path, name)
    if name == "freesurfer-lta":  # describes its images itself
        assert found.kind == "affine"
        return
    assert found.transform is None and "moving=" in found.needs and found.parts == found.grids == ()
    with pytest.raises(InputError, match="--moving"):
        read_transform(path, name)


@pytest.mark.parametrize(("suffix", "expected"), [
    (".mat", "itk-affine"), (".tfm", "itk-text"), (".txt", "itk-text"), (".h5", "itk-composite"), (".x5", "x5"),
    (".lta", "freesurfer-lta"), (".aff12.1D", "afni-affine"),
])  # fmt: skip
def test_the_name_chooses_the_format_of_an_affine(tmp_path, suffix, expected):
    fixed, moving = made_pair("straight", "oblique")
    path = tmp_path / f"t{suffix}"
    write_transform(made_affine(), path, fixed=fixed, moving=moving)
    assert identify(path, fixed=fixed, moving=moving).format == expected


def test_a_field_format_needs_a_grid_for_what_has_none(tmp_path):
    with pytest.raises(UsageError, match=r"w\.nii: Affine does not say on which grid its field shall lie; .*--fixed"):
        write_transform(made_affine(), tmp_path / "w.nii")
    with pytest.raises(UsageError, match="does not say on which grid"):
        write_transform(Chain((made_affine(), made_displacement(made_grid("oblique")))), tmp_path / "w.nii")
    grid = made_grid("oblique")
    write_transform(made_affine(), tmp_path / "w.nii", fixed=grid)
    points = inner_points(grid)
    back = read_transform(tmp_path / "w.nii")
    np.testing.assert_allclose(back.map_points(points), made_affine().map_points(points), atol=1e-5)


def test_a_field_is_moved_to_the_grid_that_is_named(tmp_path):
    field, other = made_displacement(made_grid("oblique")), made_grid("oblique", (9, 7, 8))
    write_transform(field, tmp_path / "w.nii", fixed=other)
    back = read_transform(tmp_path / "w.nii")
    assert back.grid == other
    voxels = np.array([(4, 3, 3), (2, 5, 6)])
    points = voxels @ other.affine[:3, :3].T + other.affine[:3, 3]
    np.testing.assert_allclose(back.map_points(points), field.map_points(points), atol=1e-5)


@pytest.mark.parametrize(
    ("transform", "name", "format", "message"),
    [
        (
            made_affine(),
            "a.nope",
            None,
            r"no format stores Affine under this name; there are itk-affine \(\.mat\), ",
        ),
        (
            made_chain(made_grid("oblique")),
            "a.mat",
            None,
            r"no format stores Chain under this name; there are itk-composite \(\.h5 ",
        ),
        (
            made_displacement(made_grid("oblique")),
            "a.lta",
            "freesurfer-lta",
            "freesurfer-lta holds no Displacement; choose from itk-comp",
        ),
        (made_affine(), "a.m3z", "freesurfer-m3z", "freesurfer-m3z is only read; choose from itk-affine, "),
        (made_affine(), "a.mat", "fsl", "format 'fsl' is unknown; choose from itk-affine, itk-text, "),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_left(tmp_path, transform, name, format, message):
    with pytest.raises(UsageError, match=message):
        write_transform(transform, tmp_path / name, format)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", holding(Affine, Chain))
def test_the_empty_chain_is_the_identity(tmp_path, name):
    fixed, moving = made_pair("straight", "oblique")
    write_transform(Chain(), stored(tmp_path, name), name, fixed=fixed, moving=moving)
    back = read_transform(stored(tmp_path, name), name, fixed=fixed, moving=moving)
    np.testing.assert_allclose(back.matrix, np.eye(4), atol=1e-12)


def test_the_description_of_a_file_can_be_printed(tmp_path):
    fixed, moving = made_pair("straight", "oblique")
    write_transform(made_affine(), tmp_path / "a.mat", "fsl-flirt", fixed=fixed, moving=moving)
    first, stores, needs = repr(identify(tmp_path / "a.mat", "fsl-flirt")).splitlines()
    assert first.endswith("a.mat: FSL FLIRT matrix, a bare 4x4 in text form")
    assert stores == "stores moving to fixed; turned round when read; mm, FSL's scaled voxels"
    assert "fixed= and moving=" in needs
    described = repr(identify(tmp_path / "a.mat", "fsl-flirt", fixed=fixed, moving=moving)).splitlines()
    assert described[2] == "Affine, fixed to moving world, RAS+ mm:" and len(described) == 6


def test_reading_refuses_an_unknown_name_of_a_format(tmp_path):
    with pytest.raises(UsageError, match="format 'ants' is unknown; choose from itk-affine"):
        read_transform(tmp_path / "a.mat", "ants")


SHIFT = (1.0, 2, 3)
"""A fixed point goes so far in the moving image, along R, A, S, in the tests of stored numbers."""

LEFT = Grid((4, 5, 6), np.diag([-1.0, 1, 1, 1]))
"""A left-handed grid: FSL's mm are (-R, A, S)."""


def first_of_hdf5(path):
    with h5py.File(path) as file:
        group = file["TransformGroup"]
        return group["1/TransformParameters"][9:] if path.suffix == ".h5" else group["0/Transform"][:3, 3]


READERS = {
    ".mat": lambda path: loadmat(path)["AffineTransform_double_3_3"].ravel()[9:],
    ".tfm": lambda path: np.array(path.read_text().splitlines()[3].split()[10:], float),
    ".nii": lambda path: np.asarray(nibabel.load(path).dataobj)[0, 0, 0].ravel(),
    ".nrrd": lambda path: SimpleITK.ReadImage(str(path))[0, 0, 0],
    ".mha": lambda path: SimpleITK.ReadImage(str(path))[0, 0, 0],
    ".h5": first_of_hdf5,
    ".x5": first_of_hdf5,
}


def numbers_of(name, path):
    """What a file holds at voxel (0, 0, 0), or as its matrix's last column, read without this package."""
    if path.suffix in READERS and name != "fsl-flirt":
        return READERS[path.suffix](path)
    rows = [line.split() for line in path.read_text().splitlines()]
    if name == "afni-affine":
        return np.array(rows[1][3::4], float)
    start = 5 if name == "freesurfer-lta" else 0
    return np.array([row[3] for row in rows[start : start + 3]], float)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("itk-affine", (-1, -2, 3)),  # along L, P, S, as fixed to moving
        ("itk-text", (-1, -2, 3)),
        ("itk-composite", (-1, -2, 3)),
        ("itk-warp", (-1, -2, 3)),
        ("nrrd-warp", (-1, -2, 3)),
        ("metaimage-warp", (-1, -2, 3)),
        ("matrix", (1, 2, 3)),
        ("x5", (1, 2, 3)),
        ("fsl-flirt", (1, -2, -3)),  # along FSL's axes, and as moving to fixed
        ("fsl-fnirt", (-1, 2, 3)),  # along FSL's axes, as fixed to moving
        ("fsl-fnirt-relative", (-1, 2, 3)),
        ("fsl-fnirt-absolute", (-1, 2, 3)),  # voxel (0, 0, 0) is FSL's origin
        ("freesurfer-lta", (-1, -2, -3)),  # along R, A, S, as moving to fixed
        ("afni-affine", (-1, -2, 3)),
        ("afni-warp", (-1, -2, 3)),
        ("spm-deformation", (1, 2, 3)),  # voxel (0, 0, 0) is the world's origin
    ],
)
def test_the_numbers_stored_for_a_shift_by_hand(tmp_path, name, expected):
    matrix = np.eye(4)
    matrix[:3, 3] = SHIFT
    write_transform(Affine(matrix), stored(tmp_path, name), name, fixed=LEFT, moving=LEFT)
    np.testing.assert_allclose(numbers_of(name, stored(tmp_path, name)), expected, atol=1e-6)


def test_every_written_format_has_its_numbers_checked_by_hand():
    (cases,) = [mark.args[1] for mark in test_the_numbers_stored_for_a_shift_by_hand.pytestmark]
    flat = {name for name, known in WRITTEN.items() if known.flat}
    assert {name for name, _ in cases} | {"dipy-mapping"} | flat == set(WRITTEN)


def test_the_conventions_list_every_format_and_class_of_itk():
    text = (Path(__file__).parents[3] / "docs" / "conventions.md").read_text()
    assert [name for name in FORMATS if f"`{name}`" not in text] == []
    assert [name for each in LINEAR.values() for name in each if name.removesuffix("Transform") not in text] == []
