"""ITK's transforms in text form: hand-computed points, composites, damage."""

from __future__ import annotations

import nitransforms
import numpy as np
import pytest

from made_transforms import made_affine
from warpline.errors import InputError, UsageError
from warpline.io.transform_files import itk_text, read_transform, write_transform
from warpline.space import Affine, Chain

TITLE = "#Insight Transform File V1.0\n"
SHIFT = "#Transform 0\nTransform: {}TranslationTransform_double_3_3\nParameters: {}\nFixedParameters: \n"


def test_a_point_by_hand(tmp_path):
    # turned by 90 degrees about z and doubled along it, about the LPS point (1, 2, 3), then shifted by (10, 0, 0)
    numbers = "Parameters: 0 -1 0 1 0 0 0 0 2 10 0 0\nFixedParameters: 1 2 3\n"
    (tmp_path / "t.tfm").write_text(f"{TITLE}#Transform 0\nTransform: AffineTransform_double_3_3\n{numbers}")
    # RAS (-2, -2, 4) is LPS (2, 2, 4): offset (1, 0, 1) -> (0, 1, 2) -> LPS (11, 3, 5), which is RAS (-11, -3, 5)
    np.testing.assert_allclose(read_transform(tmp_path / "t.tfm").map_points([-2, -2, 4]), (-11, -3, 5))


def test_parts_of_a_composite_by_hand(tmp_path):
    scale = "#Transform 1\nTransform: ScaleTransform_double_3_3\nParameters: 2 2 2\nFixedParameters: 0 0 0\n"
    shift = SHIFT.format("", "1 0 0").replace("#Transform 0", "#Transform 2")
    (tmp_path / "t.txt").write_text(f"{TITLE}#Transform 0\nTransform: CompositeTransform_double_3_3\n{scale}{shift}")
    # the part listed last comes first: LPS (5, 0, 0) -> (6, 0, 0) -> (12, 0, 0)
    np.testing.assert_allclose(read_transform(tmp_path / "t.txt").map_points([-5, 0, 0]), (-12, 0, 0))


def test_every_digit_is_kept(tmp_path):
    write_transform(made_affine(), tmp_path / "t.tfm")
    np.testing.assert_array_equal(read_transform(tmp_path / "t.tfm").matrix, made_affine().matrix)


def test_nitransforms_reads_the_same_matrix(tmp_path):
    write_transform(made_affine(), tmp_path / "t.tfm")
    theirs = nitransforms.linear.load(tmp_path / "t.tfm", fmt="itk")
    np.testing.assert_allclose(theirs.matrix, made_affine().matrix, atol=1e-5)  # it reads in single precision


def test_affines_of_a_chain_are_multiplied(tmp_path):
    first, second = made_affine(1), made_affine(2)
    write_transform(Chain((first, second)), tmp_path / "t.txt")
    np.testing.assert_allclose(read_transform(tmp_path / "t.txt").matrix, (second @ first).matrix, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SHIFT.format("", "1 2"), "has 2 parameters and 0 fixed parameters; 3 and 3 are needed by Trans"),
        (SHIFT.format("", "1 2 x"), "damaged or missing parameters .*'x'"),
        (SHIFT.format("", "nan 2 1"), "singular or not finite"),
        (SHIFT.format("Odd", "1 2 3"), "holds a OddTranslationTransform_double_3_3; these can be read"),
        (SHIFT.format("", "1 2 3") * 2, "holds 2 transforms without a CompositeTransform"),
        ("Transform: TranslationTransform_double_3_3\n", "damaged or missing parameters .*'Parameters'"),
        ("", "is no ITK transform in text form"),
    ],
)
def test_damage_is_named(tmp_path, text, message):
    (tmp_path / "bad.tfm").write_text(TITLE + text)
    with pytest.raises(InputError, match=f"bad\\.tfm.*{message}"):
        read_transform(tmp_path / "bad.tfm")


def test_an_identity_is_written_too(tmp_path):
    write_transform(Chain(), tmp_path / "t.tfm")
    np.testing.assert_array_equal(read_transform(tmp_path / "t.tfm").matrix, np.eye(4))
    with pytest.raises(UsageError, match="no format stores Affine under this name"):
        write_transform(Affine.identity(), tmp_path / "t.tfx")


def test_affines_of_a_series_are_read_back(tmp_path):
    affines = [Affine(np.diag([1.0 + n, 1, 1, 1])) for n in range(3)]
    (tmp_path / "motion.txt").write_bytes(itk_text.encode_affines(affines))
    found = itk_text.read_affines(tmp_path / "motion.txt")
    np.testing.assert_array_equal([one.matrix for one in found], [one.matrix for one in affines])
    with pytest.raises(InputError, match="series apply"):
        itk_text.read(tmp_path / "motion.txt")


def test_nitransforms_reads_affines_of_a_series(tmp_path):
    affines = [Affine(np.array([[1, 0.1, 0, n], [-0.1, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1.0]])) for n in range(3)]
    (tmp_path / "motion.txt").write_bytes(itk_text.encode_affines(affines))
    found = nitransforms.io.itk.ITKLinearTransformArray.from_filename(tmp_path / "motion.txt").to_ras()
    np.testing.assert_allclose(found, [one.matrix for one in affines], atol=1e-5)
