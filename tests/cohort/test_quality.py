"""The numbers of a pair's row against the tools they come from, and against transforms that are known."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from synthetic import ellipsoid, label_map, smooth_field
from warpline.backends import select
from warpline.cohort.quality import COLUMNS, RULES, RUN_COLUMNS, Rule, affine_parameters, measure
from warpline.evaluation import folding, overlap
from warpline.images import Image
from warpline.registration.judgement import LIMITS
from warpline.resampling import warp
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import Grid

SHAPE = (24, 26, 22)
GRID = Grid(SHAPE, np.diag((2.0, 1.5, 2.5, 1.0)))
INSIDE = ellipsoid(SHAPE, 0.35)
BACKEND = select("numpy")
CENTRE = np.array((3.0, -4.0, 7.0))
number = st.floats(-0.3, 0.3)


def image(array, grid=GRID, name="image"):
    return Image(np.ascontiguousarray(array, dtype=np.float32), grid, name)


def registration_of(moving, transform, warp_part=None, quality=None):
    """What `measure` looks at, without a registration."""
    fixed = image(INSIDE * 100.0)
    warped = warp(moving, transform, GRID, backend=BACKEND)
    linear = next(part for part in transform.parts if isinstance(part, Affine))
    alignment = SimpleNamespace(fixed=fixed, moving=moving, affine=linear, warp=warp_part)
    alike = {"before": {"ncc": 0.25, "local_ncc": 0.1}, "after": {"ncc": 0.75, "local_ncc": 0.5}}
    report = {"similarity": alike, "quality": quality, "judgement": {"signs": {"above_chance": 3.0}}}
    return SimpleNamespace(alignment=alignment, warped=warped, transform=transform, report=report)


# -- affine ---------------------------------------------------------------------------------------------------------


@given(st.tuples(number, number, number), st.tuples(number, number, number), st.tuples(number, number, number))
def test_affine_parameters_build_the_affine_again(turn, shears, stretch):
    rotation = Rotation.from_rotvec(turn)
    xy, xz, yz = shears
    scales = np.exp(stretch)
    matrix = np.eye(4)
    matrix[:3, :3] = rotation.as_matrix() @ np.diag(scales) @ np.array(((1, xy, xz), (0, 1, yz), (0, 0, 1)))
    found = affine_parameters(matrix, CENTRE)
    assert [found[f"scale_{axis}"] for axis in "xyz"] == pytest.approx(scales, rel=1e-9)
    assert [found[f"shear_{axes}"] for axes in ("xy", "xz", "yz")] == pytest.approx(shears, abs=1e-9)
    assert [found[f"rotation_{axis}"] for axis in "xyz"] == pytest.approx(np.degrees(turn), abs=1e-6)
    assert found["rotation"] == pytest.approx(np.degrees(np.linalg.norm(turn)), abs=1e-6)
    assert found["determinant"] == pytest.approx(np.prod(scales))


def test_translation_is_the_motion_of_the_centre():
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("z", 30, degrees=True).as_matrix()
    matrix[:3, 3] = CENTRE - matrix[:3, :3] @ CENTRE + (3.0, 0.0, 4.0)
    found = affine_parameters(matrix, CENTRE)
    assert found["translation"] == pytest.approx(5.0)
    assert [found[f"translation_{axis}"] for axis in "xyz"] == pytest.approx((3.0, 0.0, 4.0))
    assert found["rotation_z"] == pytest.approx(30.0)


def test_a_reflection_shows_as_a_negative_scale():
    found = affine_parameters(np.diag((1.0, 1.0, -1.0, 1.0)), CENTRE)
    assert (found["scale_z"], found["determinant"]) == (-1.0, -1.0)
    assert found["rotation"] == pytest.approx(0.0, abs=1e-9)


# -- everything together --------------------------------------------------------------------------------------------


def test_an_image_on_itself_is_perfect():
    found = measure(registration_of(image(INSIDE * 100.0), Chain((Affine.identity(),))), images(), backend=BACKEND)
    assert list(found) == list(COLUMNS)
    assert found["foreground_dice"] == found["coverage"] == 1
    assert found["ncc_gain"] == found["ncc_after"] - found["ncc_before"] == 0.5
    assert found["rotation"] == pytest.approx(0, abs=1e-9)
    for name in ("dice", "mask_dice", "jacobian_min", "displacement_mean", "inverse_error_p99", "folded_share"):
        assert found[name] is None


def images(**more):
    return {"fixed": image(INSIDE * 100.0), "moving": image(INSIDE * 100.0), **more}


def test_deformation_agrees_with_the_evaluation():
    field = Displacement(smooth_field(SHAPE, largest=3.0), GRID)
    quality = {
        **{"folds": 0.01, "folded_voxels": 7, "jacobian_min": -0.1, "least_jacobian": -0.3},
        **{"inverse_error_mean": 0.02, "inverse_error_p99": 0.2, "inverse_error_max": 0.6},
    }
    made = registration_of(image(INSIDE * 100.0), Chain((field, Affine.identity())), field, quality)
    mask = image(INSIDE)
    found = measure(made, images(fixed_mask=mask), backend=BACKEND)
    expected = folding(field, mask, backend=BACKEND)
    assert found["jacobian_min"] == pytest.approx(expected.minimum)
    assert found["least_jacobian"] == -0.3
    assert (found["jacobian_p1"], found["jacobian_p99"]) == pytest.approx((expected.p1, expected.p99))
    lengths = np.linalg.norm(field.field, axis=0)[INSIDE]
    assert found["displacement_max"] == pytest.approx(lengths.max(), rel=1e-5)
    assert found["displacement_mean"] == pytest.approx(lengths.mean(), rel=1e-5)
    assert (found["folded_voxels"], found["folded_share"]) == (7, 0.01)
    assert (found["inverse_error_mean"], found["inverse_error_p99"], found["inverse_error_max"]) == (0.02, 0.2, 0.6)


def test_labels_and_masks_overlap_as_the_evaluation_says():
    labels = Image(np.where(INSIDE, label_map(SHAPE), 0).astype(np.int32), GRID, "labels")
    moved = np.eye(4)
    moved[0, 3] = 4.0
    chain = Chain((Affine(moved),))
    carried = warp(labels, chain, GRID, order=0, backend=BACKEND)
    given_ = {"fixed_labels": labels, "moving_labels": labels, "warped_labels": carried}
    masks = {"fixed_mask": image(INSIDE), "moving_mask": image(INSIDE)}
    found = measure(registration_of(image(INSIDE * 100.0), chain), images(**given_, **masks), backend=BACKEND)
    expected = overlap(labels, carried)
    assert found["dice"] == pytest.approx(expected.mean)
    assert found["dice_lowest"] == pytest.approx(min(expected.dice.values()))
    assert found["labels_missing"] == len(expected.missing)
    assert found["dice_before"] == 1
    assert found["mask_dice"] == pytest.approx(found["foreground_dice"], abs=0.02)
    assert found["mask_dice"] < 0.9


def test_labels_that_never_meet_have_no_overlap():
    labels = Image(INSIDE.astype(np.uint16) * 3, GRID, "labels")
    empty = Image(np.zeros(SHAPE, np.uint16), GRID, "warped")
    made = registration_of(image(INSIDE * 100.0), Chain((Affine.identity(),)))
    found = measure(made, images(fixed_labels=labels, warped_labels=empty), backend=BACKEND)
    assert found["dice"] == found["dice_lowest"] == 0


@pytest.mark.parametrize(("shift", "share"), [(0.0, 1.0), (1000.0, 0.0)])
def test_coverage_is_the_share_inside_the_field_of_view(shift, share):
    moved = np.eye(4)
    moved[1, 3] = shift
    found = measure(registration_of(image(INSIDE * 100.0), Chain((Affine(moved),))), images(), backend=BACKEND)
    assert found["coverage"] == share


def test_half_a_field_of_view_covers_about_half():
    half = GRID.cropped((0, 0, 0), (SHAPE[0] // 2, *SHAPE[1:]))
    moving = image(INSIDE[: SHAPE[0] // 2] * 100.0, half)
    found = measure(registration_of(moving, Chain((Affine.identity(),))), images(), backend=BACKEND)
    assert found["coverage"] == pytest.approx(0.5, abs=0.05)


def test_an_empty_mask_measures_everywhere_rather_than_nowhere():
    made = registration_of(image(INSIDE * 100.0), Chain((Affine.identity(),)))
    found = measure(made, images(fixed_mask=image(np.zeros(SHAPE))), backend=BACKEND)
    assert found["coverage"] == 1


def test_every_column_and_rule_is_in_the_document():
    text = (Path(__file__).parents[2] / "docs" / "quality.md").read_text()
    for name, column in {**COLUMNS, **RUN_COLUMNS}.items():
        assert f"| `{name}` | {column.title} | {column.unit} | {column.meaning} |" in text
    rules = re.findall(r"^\| `(\w+)`(?: \*)? \| (low|high|either) \| ([\d.]*)", text, re.MULTILINE)
    assert rules == [(name, rule.worse, f"{rule.least:g}" if rule.least else "") for name, rule in RULES.items()]


def test_words_of_a_registration_have_those_of_a_cohort():
    failing = {name for name, limit in LIMITS.items() if limit.failed != (None, None)}
    assert all(RULES[name].fail == LIMITS[name].failed for name in failing)
    own = {"folded_voxels": "folded_share"}  # a count and its share
    unlimited = {name for name in LIMITS if RULES.get(own.get(name, name), Rule("low")).review == (None, None)}
    assert unlimited == {"jacobian_max", "inverse_error_mean"}
    assert RULES["coverage"].review[0] > LIMITS["coverage"].doubtful[0]
