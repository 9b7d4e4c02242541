"""Images in NRRD and MetaImage: read as SimpleITK places them, and written so that it reads them back."""

from __future__ import annotations

import gzip
import logging
import sys

import nibabel
import numpy as np
import pytest
import SimpleITK
from scipy.spatial.transform import Rotation

from made_transforms import LPS, PAIRS, made_grid
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io import itk_images, limits
from warpline.io.images import read_grid, read_image, write_image
from warpline.io.transform_files import identify, read_transform
from warpline.io.vectors import read_series, read_vectors, write_vectors
from warpline.registration.provenance import describe
from warpline.space.grid import Grid

SUFFIXES = itk_images.SUFFIXES

DTYPES = ("uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")

META = "NDims = 3\nDimSize = 6 5 4\nElementType = MET_FLOAT\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n"

HEADER = "type: float\ndimension: 3\nsizes: 6 5 4\nendian: little\nencoding: raw\n"


def made(grid, dtype="float32", seed=0, tail=()):
    values = np.random.default_rng(seed).uniform(0, 120, (*grid.shape, *tail))
    return Image(values.astype(dtype), grid)


def place_in_ras(theirs, voxel):
    return np.array(theirs.TransformIndexToPhysicalPoint([int(n) for n in voxel])) * LPS[: theirs.GetDimension()]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("axes", ["straight", "left-handed", "oblique", "sagittal"])
def test_simpleitk_places_every_voxel_where_we_do(tmp_path, suffix, axes):
    image, path = made(made_grid(axes)), tmp_path / f"a{suffix}"
    write_image(image, path)
    theirs = SimpleITK.ReadImage(str(path))
    for voxel in ((0, 0, 0), (3, 2, 1), (10, 8, 9)):
        expected = image.affine[:3, :3] @ voxel + image.affine[:3, 3]
        np.testing.assert_allclose(place_in_ras(theirs, voxel), expected, atol=1e-4)
        assert theirs[voxel] == image.data[voxel]
    back = read_image(path)
    assert back.grid == image.grid == read_grid(path) and not back.grid.flat
    np.testing.assert_array_equal(back.data, image.data)
    assert back.data.flags.c_contiguous


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("compressed", [False, True])
def test_what_simpleitk_writes_is_read_as_it_reads_its_nifti(tmp_path, suffix, compressed):
    theirs = SimpleITK.GetImageFromArray(made(made_grid("straight")).data)
    theirs.SetOrigin((11.0, -7, 3))
    theirs.SetSpacing((1.5, 2.0, 2.5))
    theirs.SetDirection(Rotation.from_euler("xyz", (10, 20, -15), degrees=True).as_matrix().ravel().tolist())
    SimpleITK.WriteImage(theirs, str(tmp_path / f"a{suffix}"), useCompression=compressed)
    SimpleITK.WriteImage(theirs, str(tmp_path / "a.nii"))
    ours, other = read_image(tmp_path / f"a{suffix}"), read_image(tmp_path / "a.nii")
    np.testing.assert_array_equal(ours.data, other.data)
    np.testing.assert_allclose(ours.affine, other.affine, atol=1e-5)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_types_slices_and_series_are_kept(tmp_path, suffix):
    for dtype in DTYPES:
        image = made(made_grid("oblique"), dtype)
        write_image(image, tmp_path / f"a{suffix}")
        back = read_image(tmp_path / f"a{suffix}")
        assert back.data.dtype == dtype
        np.testing.assert_array_equal(back.data, image.data)
    turn = Rotation.from_euler("z", 17, degrees=True).as_matrix() @ np.diag([2.0, -3, 1])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn, (4, 5, 0)
    for image in (made(Grid((7, 6, 1), affine, flat=True)), made(made_grid("oblique"), tail=(4,))):
        write_image(image, tmp_path / f"b{suffix}")
        back = read_image(tmp_path / f"b{suffix}")
        np.testing.assert_array_equal(back.data, image.data)
        assert back.grid == image.grid and back.grid.flat == image.grid.flat
        assert SimpleITK.ReadImage(str(tmp_path / f"b{suffix}")).GetDimension() == (2 if image.grid.flat else 4)
    write_image(Image(np.ones((4, 5, 6), bool), Grid((4, 5, 6), np.eye(4))), tmp_path / f"c{suffix}")
    assert read_image(tmp_path / f"c{suffix}").data.dtype == np.uint8
    with pytest.raises(InputError, match="data of type complex64 cannot be stored by ITK"):
        write_image(Image(np.ones((4, 5, 6), np.complex64), Grid((4, 5, 6), np.eye(4))), tmp_path / f"d{suffix}")
    assert not (tmp_path / f"d{suffix}").exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_vectors_keep_their_components_and_are_no_series(tmp_path, suffix):
    image, path = made(made_grid("oblique"), tail=(3,)), tmp_path / f"v{suffix}"
    write_vectors(image, path, read_vectors_like())
    theirs = SimpleITK.ReadImage(str(path))
    assert theirs.GetNumberOfComponentsPerPixel() == 3
    np.testing.assert_array_equal(theirs[3, 2, 1], image.data[3, 2, 1])
    np.testing.assert_array_equal(read_vectors(path).image.data, image.data)
    with pytest.raises(UsageError, match=r"holds vectors \(by its header\).* --vectors none carries each"):
        read_series(path, "image")
    found = identify(path)
    assert found.format == ("nrrd-warp" if suffix in (".nrrd", ".nhdr") else "metaimage-warp")
    moved = read_transform(path).map_points(image.affine[:3, 3])
    np.testing.assert_allclose(moved, image.affine[:3, 3] + image.data[0, 0, 0] * LPS, atol=1e-4)


def read_vectors_like():
    from warpline.io.vectors import StoredVectors

    return StoredVectors(made(made_grid("straight")), 0, False)


@pytest.mark.parametrize(
    ("space", "signs"),
    [("left-posterior-superior", (-1, -1, 1)), ("RAS", (1, 1, 1)), ("left-anterior-superior", (-1, 1, 1))],
)
def test_the_spaces_of_nrrd(tmp_path, caplog, space, signs):
    place = f"space: {space}\nspace directions: (2,0,0) (0,3,0) (0,0.5,4)\nspace origin: (10,20,30)\n"
    place += 'space units: "mm" "mm" "mm"\n\n'
    (tmp_path / "a.nrrd").write_bytes(f"NRRD0004\n{HEADER}{place}".encode() + bytes(480))
    expected = np.diag([*signs, 1.0]) @ [[2, 0, 0, 10], [0, 3, 0.5, 20], [0, 0, 4, 30], [0, 0, 0, 1]]
    np.testing.assert_allclose(read_image(tmp_path / "a.nrrd").affine, expected, atol=1e-6)
    np.testing.assert_allclose(read_grid(tmp_path / "a.nrrd").affine, expected, atol=1e-6)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("name", "head", "message"),
    [
        ("a.nrrd", f"NRRD0004\n{HEADER}spacings: 1 2 3\n\n", "does not say in which space it lies"),
        (
            "a.nrrd",
            f"NRRD0004\n{HEADER}space: 3D-right-handed\n\n",
            "lies in the space 3D-right-handed, which is taken",
        ),
        (
            "a.mha",
            "NDims = 3\nDimSize = 6 5 4\nElementType = MET_FLOAT\nElementSpacing = 1 2 3\nElementDataFile = LOCAL\n",
            "does not say in which space it lies",
        ),
        ("a.nrrd", f'NRRD0004\n{HEADER}space: LPS\nspace units: "um" "um" "um"\n\n', "units of length (um), but"),
        ("a.mha", f"{META}DistanceUnits = cm\nElementDataFile = LOCAL\n", "units of length (cm), but"),
        ("a.mha", f"{META}ElementToIntensityFunctionSlope = 2\nElementDataFile = LOCAL\n", "which is not applied"),
    ],
)
def test_what_a_header_leaves_open_is_a_warning(tmp_path, caplog, name, head, message):
    (tmp_path / name).write_bytes(head.encode() + bytes(480))
    with caplog.at_level(logging.WARNING, "warpline"):
        assert read_image(tmp_path / name).data.shape == (6, 5, 4)
    assert message in caplog.text


@pytest.mark.parametrize("name", SUFFIXES)
@pytest.mark.parametrize("damage", ["changed", "cut"])
def test_damaged_data_are_refused(tmp_path, name, damage):
    write_image(made(made_grid("oblique"), "int16"), tmp_path / f"a{name}")
    data = max(tmp_path.iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(data.read_bytes())
    content[-300:-260] = bytes(40)
    data.write_bytes(content if damage == "changed" else content[:-5])
    with pytest.raises(InputError, match=r"damaged data|cut short"):
        read_image(tmp_path / f"a{name}")


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.mhd"])
def test_equal_images_give_equal_bytes(tmp_path, name):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write_image(made(made_grid("oblique")), tmp_path / folder / name)
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    assert len(list((tmp_path / "one").iterdir())) == (2 if name == "a.mhd" else 1)


def test_the_checksum_of_two_files_is_that_of_the_values(tmp_path):
    sums = []
    for seed in (0, 1):
        image = made(made_grid("oblique"), seed=seed)
        write_image(image, tmp_path / "a.mhd")
        sums.append(describe(read_image(tmp_path / "a.mhd"), tmp_path / "a.mhd")["sha256"])
    assert sums[0] != sums[1]


def test_without_simpleitk_the_error_says_what_to_install(tmp_path, monkeypatch):
    write_image(made(made_grid("oblique")), tmp_path / "a.nrrd")
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(InputError, match=r'pip install "warpline\[itk\]"'):
        read_image(tmp_path / "a.nrrd")
    with pytest.raises(InputError, match=r'pip install "warpline\[itk\]"'):
        write_image(made(made_grid("oblique")), tmp_path / "b.mha")


@pytest.mark.parametrize("axes", [axes for axes, _ in PAIRS])
def test_nifti_and_nrrd_of_one_image_are_one_image(tmp_path, axes):
    image = made(made_grid(axes))
    write_image(image, tmp_path / "a.nii")
    write_image(read_image(tmp_path / "a.nii"), tmp_path / "a.nhdr")
    write_image(read_image(tmp_path / "a.nhdr"), tmp_path / "b.nii")
    np.testing.assert_allclose(nibabel.load(tmp_path / "b.nii").affine, image.affine, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(nibabel.load(tmp_path / "b.nii").dataobj), image.data)


def test_values_that_exceed_memory_are_refused_unread(tmp_path, monkeypatch):
    data = gzip.compress(np.arange(180**3, dtype=np.int32).astype(np.int16).tobytes(), 1)
    head = "NRRD0004\ntype: int16\ndimension: 3\nsizes: 180 180 180\nendian: little\nencoding: gzip\n\n"
    (tmp_path / "a.nrrd").write_bytes(head.encode() + data)
    monkeypatch.setattr(limits, "free_memory", lambda: 20_000_000)
    with pytest.raises(InputError, match=r"a\.nrrd needs 0\.02 GB of memory and 0\.02 GB are free"):
        read_image(tmp_path / "a.nrrd")
