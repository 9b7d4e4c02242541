"""Images go to files and back exactly, and every bad file gets one clear line."""

from __future__ import annotations

import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK

from made_images import ORIENTATIONS, grid_of, nifti, patched, values_of
from warpline.errors import InputError, OutputError, UsageError
from warpline.images import Image
from warpline.io.images import as_image, placed, read_grid, read_image, write_image
from warpline.space.grid import Grid

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_round_trip_keeps_every_bit(tmp_path, dtype, suffix):
    image = Image(values_of(dtype), grid_of("both"))
    write_image(image, tmp_path / f"a{suffix}")
    back = read_image(tmp_path / f"a{suffix}")
    assert back.data.dtype == dtype
    assert back.data.flags.c_contiguous
    np.testing.assert_array_equal(back.data, image.data)
    np.testing.assert_allclose(back.affine, image.affine, atol=2e-6)
    assert back.name == str(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("shape", [(7, 6, 1), (7, 1, 5), (7, 6, 5, 3)])
def test_slices_and_series_keep_their_shape(tmp_path, shape):
    image = Image(values_of("int16", shape), grid_of("oblique", shape[:3]))
    write_image(image, tmp_path / "a.nii.gz")
    back = read_image(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(back.data, image.data)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_written_files_mean_the_same_to_nibabel_and_itk(tmp_path, orientation):
    image = Image(values_of("float32"), grid_of(orientation))
    path = tmp_path / "a.nii.gz"
    write_image(image, path)
    theirs = nibabel.load(path)
    np.testing.assert_array_equal(theirs.dataobj, image.data)
    for matrix, code in (theirs.get_sform(coded=True), theirs.get_qform(coded=True)):
        assert code == 1
        np.testing.assert_allclose(matrix, image.affine, atol=1e-5)
    assert theirs.header.get_xyzt_units() == ("mm", "sec")
    itk = SimpleITK.ReadImage(str(path))
    voxel = (6, 2, 3)
    lps = np.array(itk.TransformIndexToPhysicalPoint(voxel))
    np.testing.assert_allclose(lps * (-1, -1, 1), image.affine[:3, :3] @ voxel + image.affine[:3, 3], atol=1e-4)
    assert itk[voxel] == image.data[voxel]


def test_files_of_equal_images_are_equal(tmp_path):
    image = Image(values_of("float32"), grid_of("both"))
    for name in ("first.nii.gz", "second.nii.gz"):
        write_image(image, tmp_path / name)
    assert (tmp_path / "first.nii.gz").read_bytes() == (tmp_path / "second.nii.gz").read_bytes()


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image, nibabel.Nifti1Pair, nibabel.MGHImage])
def test_reads_what_nibabel_writes(tmp_path, kind):
    suffix = {nibabel.Nifti1Pair: ".img", nibabel.MGHImage: ".mgz"}.get(kind, ".nii.gz")
    data = values_of("int16")
    theirs = kind(data.astype("int32") if kind is nibabel.MGHImage else data, grid_of("both").affine)
    nibabel.save(theirs, tmp_path / f"a{suffix}")
    image = read_image(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(image.data, data)
    np.testing.assert_allclose(image.affine, grid_of("both").affine, atol=1e-5)
    assert image.data.flags.c_contiguous


@pytest.mark.parametrize("load", [read_image, lambda path: as_image(nibabel.load(path), "image")])
def test_scaled_data_become_float32_rounded_once(tmp_path, load):
    data = values_of("int16")
    (tmp_path / "a.nii").write_bytes(patched(nifti(data).to_bytes(), 112, "<ff", 0.37, -11.0))
    image = load(tmp_path / "a.nii")
    assert image.data.dtype == np.float32
    expected = data * np.float64(np.float32(0.37)) - 11.0
    np.testing.assert_array_equal(image.data, expected.astype(np.float32))


@pytest.mark.parametrize(
    ("shape", "expected"), [((7, 6), (7, 6, 1)), ((7, 6, 5, 1), (7, 6, 5)), ((7, 6, 5, 2, 1), (7, 6, 5, 2))]
)
def test_axes_of_one_voxel_at_the_end_do_not_count(tmp_path, shape, expected):
    nifti(values_of("int16", shape)).to_filename(tmp_path / "a.nii")
    assert read_image(tmp_path / "a.nii").data.shape == expected


def test_real_brain_equals_nibabel(data_folder):
    path = data_folder / "oasis-trt-20" / "sub-01" / "t1_brain.nii.gz"
    theirs = nibabel.load(path)
    image = read_image(path)
    assert image.data.dtype == theirs.get_data_dtype()
    np.testing.assert_array_equal(image.data, theirs.dataobj)
    np.testing.assert_array_equal(image.affine, theirs.affine)


def test_sources_of_every_kind_become_the_same_image(tmp_path):
    image = Image(values_of("int16"), grid_of("flipped"))
    path = tmp_path / "a.nii.gz"
    write_image(image, path)
    loaded = nibabel.load(path)
    arrays = [(array, image.affine) for array in (image.data, np.asfortranarray(image.data))]
    for source in (path, str(path), loaded, image, *arrays):
        same = as_image(source, "fixed")
        assert same.data.dtype == np.int16 and same.data.flags.c_contiguous
        np.testing.assert_array_equal(same.data, image.data)
        assert same.grid == image.grid
    assert as_image(image, "fixed") is image
    np.testing.assert_array_equal(as_image(image.data, "fixed").affine, np.eye(4))
    flat = as_image((image.data[:, :, 0], np.diag((2.0, 3.0, 1.0))), "fixed")
    assert flat.grid == Grid((7, 6, 1), np.diag((2.0, 3.0, 1.0, 1.0)))


def bad_files():
    """Name, bytes, suffix and what the message must say."""
    good = nifti(values_of("int16")).to_bytes()
    packed = gzip.compress(good)
    sform = 280  # srow_x of NIfTI-1
    yield "text", b"subject,age\n1,30\n" * 90, ".nii", "is not a readable image"
    yield "empty", b"", ".nii.gz", "it is empty"
    yield "short-header", good[:200], ".nii", "is not a readable image"
    yield "truncated", good[:-100], ".nii", r"truncated: shape \(7, 6, 5\) of int16 needs 772 bytes, .* 672;"
    yield "truncated-gzip", packed[: len(packed) // 2], ".nii.gz", "is a damaged or truncated gzip file"
    yield "truncated-inside-gzip", gzip.compress(good[:-100]), ".nii.gz", "is truncated: .* at most 672"
    yield "huge", patched(good, 42, "<hhh", 32767, 32767, 32767), ".nii", "is truncated: .* at most 772"
    yield "huge-gzip", gzip.compress(patched(good, 42, "<hhh", 32767, 32767, 32767)), ".nii.gz", "is truncated"
    yield "negative", patched(good, 42, "<h", -7), ".nii", r"has the shape \(-7, 6, 5\)"
    yield "no-axes", patched(good, 40, "<h", 0), ".nii", "is not a readable image|shape|header"
    yield "one-axis", nifti(values_of("int16", (7,))).to_bytes(), ".nii", "has 1 axes, shape"
    yield "field", nifti(values_of("float32", (7, 6, 5, 1, 3))).to_bytes(), ".nii", "has 5 axes"
    yield "complex", nifti(np.zeros((7, 6, 5), np.complex64)).to_bytes(), ".nii", "values of type complex64"
    yield "colour", nifti(np.zeros((7, 6, 5), [(c, "u1") for c in "RGB"])).to_bytes(), ".nii", "real numbers are needed"
    yield "data-type", patched(good, 70, "<h", 99), ".nii", "damaged NIfTI header"
    yield "offset", patched(good, 108, "<f", 100.0), ".nii", "header|vox_offset"
    yield "offset-nan", patched(good, 108, "<f", float("nan")), ".nii", "header"
    yield "singular", patched(good, sform, "<4f", 0, 0, 0, 0), ".nii", "affine of its header is singular"
    yield "nan-affine", patched(good, sform, "<f", float("nan")), ".nii", "affine of its header has NaN or infinite"
    yield "mgh", b"\0\0\0\1" + bytes(60), ".mgz", "is not a readable image|gzip"


BAD_FILES = [pytest.param(*case, id=name) for name, *case in bad_files()]


@pytest.mark.parametrize(("content", "suffix", "message"), BAD_FILES)
def test_bad_file_gets_one_line_that_names_it(tmp_path, capfd, content, suffix, message):
    path = tmp_path / f"subject{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_missing_file_and_mesh_are_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.nii\.gz does not exist; check the path"):
        read_image(tmp_path / "gone.nii.gz")
    nibabel.save(nibabel.GiftiImage(), tmp_path / "mesh.gii")
    with pytest.raises(
        InputError,
        match=r"mesh\.gii is not a readable image \(it is no NIfTI, and its name is that of no other format\)",
    ):
        read_image(tmp_path / "mesh.gii")


@pytest.mark.parametrize("array", [np.zeros(5), np.zeros((2,) * 5), np.zeros((2, 2, 2), complex), np.array("text")])
def test_bad_arrays_are_named(array):
    with pytest.raises(InputError, match="moving"):
        as_image(array, "moving")


def test_unwritable_folder_and_data_type_are_named(tmp_path):
    image = Image(values_of("uint8"), grid_of("axes"))
    with pytest.raises(OutputError, match=r"gone/a\.nii cannot be written: No such file or directory; choose a folder"):
        write_image(image, tmp_path / "gone" / "a.nii")
    strange = Image(np.zeros((7, 6, 5), "datetime64[s]"), image.grid)
    with pytest.raises(InputError, match="datetime64"):
        write_image(strange, tmp_path / "a.nii")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["image.nii", "image.nii.gz", "image.mgz"])
def test_a_grid_is_read_without_the_voxels(tmp_path, name):
    affine = np.array([[-2.0, 0, 0.1, 3], [0, 2, 0, -4], [0.1, 0, 3, 5], [0, 0, 0, 1]], np.float32)
    kind = nibabel.MGHImage if name.endswith("mgz") else nibabel.Nifti1Image
    nibabel.save(kind(np.zeros((4, 5, 6, 2), np.float32), affine), tmp_path / name)
    assert read_grid(tmp_path / name) == Grid((4, 5, 6), affine)


def test_a_slice_is_a_grid_one_voxel_thick(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5), np.float32), np.eye(4)), tmp_path / "slice.nii")
    assert read_grid(tmp_path / "slice.nii").shape == (4, 5, 1)


def test_an_affine_that_an_array_carries_is_its_own():
    class Tensor(np.ndarray):
        affine = np.diag([2.0, 3.0, 4.0, 1.0])

    array = np.zeros((4, 5, 6))
    np.testing.assert_array_equal(as_image(array.view(Tensor), "moving").affine, Tensor.affine)
    np.testing.assert_array_equal(as_image((array.view(Tensor), np.eye(4)), "moving").affine, np.eye(4))


def test_one_affine_is_for_arrays_alone():
    array, affine = np.zeros((4, 5, 6)), np.diag([2.0, 3.0, 4.0, 1.0])
    pair, image = (array, np.eye(4)), Image.from_array(array)
    sources = {"fixed": array, "moving": pair, "fixed_mask": "mask.nii", "moving_mask": image, "fixed_weights": None}
    assert placed(sources, affine) == sources | {"fixed": (array, affine)}
    assert placed(sources, None) == sources
    unplaced = np.zeros((4, 5, 6)).view(type("Tensor", (np.ndarray,), {"affine": None}))
    assert placed({"fixed": unplaced}, affine)["fixed"][1] is affine
    with pytest.raises(UsageError, match="affine is given, and every image has its own"):
        placed({"fixed": pair, "moving": "moving.nii"}, affine)
