"""``warpline series apply``."""

from __future__ import annotations

import json

import nibabel
import numpy as np

from made_series import made_series
from warpline.cli.main import main
from warpline.io.transform_files import itk_text
from warpline.space import Affine


def test_motion_of_a_file_is_applied(tmp_path, capsys):
    made = made_series(2)
    nibabel.save(nibabel.Nifti1Image(made.data, made.grid.affine), tmp_path / "bold.nii")
    (tmp_path / "motion.txt").write_bytes(itk_text.encode_affines([Affine.identity()] * 2))
    files = [str(tmp_path / name) for name in ("bold.nii", "motion.txt", "out.nii")]
    arguments = ["series", "apply", files[0], "--motion", files[1], "-o", files[2], "--backend", "numpy"]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shape"] == [*made.grid.shape, 2]
    np.testing.assert_allclose(nibabel.load(files[2]).get_fdata(), made.data, atol=1e-2)
    assert main(["series", "apply", files[0], "--motion", files[1], "-o", files[0]]) == 2
    assert "overwrite" in capsys.readouterr().err
