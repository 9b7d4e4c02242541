"""Files that FreeSurfer, FSL and ANTs wrote, as nitransforms ships them: each step of a pipeline in several formats."""

from __future__ import annotations

from pathlib import Path

import nibabel
import nitransforms
import numpy as np
import pytest
from nitransforms.io.lta import FSLinearTransform

from made_transforms import inner_points
from warpline.errors import InputError
from warpline.io.transform_files import identify, read_transform
from warpline.space.grid import Grid

DATA = Path(nitransforms.__file__).parent / "tests" / "data"
STEPS = DATA / "regressions"

if not STEPS.is_dir():
    pytest.skip("this nitransforms comes without its data", allow_module_level=True)


def volumes_of(path):
    """Grids of the fixed (dst) and the moving (src) image of an LTA file, as nitransforms reads them."""
    text = "".join(f"{line}\n" for line in path.read_text().splitlines() if line.strip() and not line.startswith("#"))
    stored = FSLinearTransform.from_string(text)
    return [Grid(stored[which]["volume"].tolist(), stored[which].as_affine()) for which in ("dst", "src")]


@pytest.mark.parametrize(
    "step", ["from-fsnative_to-bold", "from-fsnative_to-scanner", "from-scanner_to-bold", "from-scanner_to-fsnative"]
)
def test_a_step_is_the_same_map_in_every_format(step):
    paths = sorted(STEPS.glob(f"{step}_mode-image*"))
    fixed, moving = volumes_of(STEPS / f"{step}_mode-image.lta")
    points, found = inner_points(fixed), {}
    for path in paths:
        name = "fsl-flirt" if path.suffix == ".fsl" else None
        found[path.name] = read_transform(path, name, fixed=fixed, moving=moving).map_points(points)
    assert len(found) >= 3
    first = found.pop(paths[0].name)
    for name, mapped in found.items():
        gap = np.abs(mapped - first).max()
        assert gap < 2e-4, (name, gap)  # eight decimals in one format, single precision in the others


@pytest.mark.parametrize("axes", ["RAS", "LAS", "LPS", "oblique"])
@pytest.mark.parametrize(("suffix", "theirs"), [("fs.lta", "fs"), ("itk.tfm", "itk")])
def test_nitransforms_reads_the_same_matrix(axes, suffix, theirs):
    path = DATA / f"affine-{axes}.{suffix}"
    expected = nitransforms.linear.load(path, fmt=theirs).matrix
    np.testing.assert_allclose(read_transform(path).matrix, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["bold-to-t1w", "affine-RAS.fs"])
def test_voxels_and_world_of_one_registration_agree(name):
    world, voxels = (read_transform(DATA / f"{name}{kind}.lta") for kind in ("", ".v2v"))
    fixed, _ = volumes_of(DATA / f"{name}.lta")
    points = inner_points(fixed)
    np.testing.assert_allclose(voxels.map_points(points), world.map_points(points), atol=2e-3)


def test_a_composite_of_ants_is_read():
    assert identify(DATA / "affine-antsComposite.h5").format == "itk-composite"


def test_series_are_refused_with_their_length():
    with pytest.raises(InputError, match="holds 8 transforms without a CompositeTransform"):
        read_transform(DATA / "hmc-itk.tfm")
    with pytest.raises(InputError, match="holds 2 matrices, one per volume"):
        read_transform(DATA / "affine-RAS.afni-array")


def test_a_field_of_fsl_is_told_to_be_relative():
    path = DATA / "ds-005_sub-01_from-OASIS_to-T1_warp_fsl.nii.gz"
    image = nibabel.load(path)
    found = identify(path, moving=Grid(image.shape[:3], image.affine))
    assert found.format == "fsl-fnirt"
    np.testing.assert_allclose(
        found.transform.map_points([0, 0, 0]),
        read_transform(path, "fsl-fnirt-relative", moving=found.grids[0]).map_points([0, 0, 0]),
        atol=1e-6,
    )
