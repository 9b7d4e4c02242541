"""Parameters to matrices and derivatives, against DIPY's own."""

from __future__ import annotations

import numpy as np
import pytest

from warpline import dipy as ours
from warpline.errors import UsageError

theirs = pytest.importorskip("dipy.align.transforms")
NAMES = [f"{kind}Transform{dim}D" for dim in (2, 3) for kind in
         ("Translation", "Rotation", "Scaling", "Rigid", "RigidIsoScaling", "RigidScaling", "Affine")]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_matrices_and_derivatives_as_dipy(name):
    mine, real = getattr(ours, name)(), getattr(theirs, name)()
    assert mine.get_dim() == real.get_dim()
    assert mine.get_number_of_parameters() == real.get_number_of_parameters()
    np.testing.assert_array_equal(mine.get_identity_parameters(), real.get_identity_parameters())
    rng = np.random.default_rng(len(name))
    theta, point = rng.normal(size=real.get_number_of_parameters()), rng.normal(size=real.get_dim()) * 20
    np.testing.assert_allclose(mine.param_to_matrix(theta), real.param_to_matrix(theta), atol=1e-13)
    np.testing.assert_allclose(mine.jacobian(theta, point), real.jacobian(theta, point), atol=1e-12)


def test_wrong_number_of_parameters():
    with pytest.raises(UsageError, match=r"shape \(5,\); \(6,\) is needed"):
        ours.RigidTransform3D().param_to_matrix(np.zeros(5))
