from __future__ import annotations

import json
import shutil
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

import warpline
from made_registrations import FIXED_AFFINE, QUICK
from warpline.errors import InputError, UsageError
from warpline.images import Image
from warpline.io.images import read_image, write_image
from warpline.napari import get_reader
from warpline.napari.layers import image_layer, vectors_layer
from warpline.registration import Job, run
from warpline.space import Grid

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "src" / "warpline" / "napari" / "napari.yaml"
EVERYTHING = QUICK.with_options("syn.robust=true", "uncertainty.runs=2")


def write_pair(folder, grid):
    """Files of a structured blob, and of the same moved and squeezed."""
    i, j, k = np.indices(grid.shape) - np.reshape(grid.shape, (3, 1, 1, 1)) / 2
    for name, shift, size in (("fixed", 0, 6), ("moving", 1, 5)):
        blob = np.exp(-(((i - shift) / size) ** 2) - (j / 6) ** 2 - (k / 5) ** 2)
        write_image(
            Image((blob * (2 + np.sin(i - shift) * np.cos(j))).astype(np.float32), grid), folder / f"{name}.nii.gz"
        )


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """Files of a registration in 3-D, which were named relative to their folder."""
    folder = tmp_path_factory.mktemp("volumes")
    write_pair(folder, Grid((24, 22, 20), FIXED_AFFINE))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(Job("fixed.nii.gz", "moving.nii.gz", "out/sub-01_", recipe=QUICK))
    return folder


@pytest.fixture(scope="module")
def planes(tmp_path_factory):
    """The same in 2-D, with weights and uncertainty."""
    folder = tmp_path_factory.mktemp("planes")
    write_pair(folder, Grid((24, 22, 1), np.diag([-1.5, -1.5, 1, 1]), flat=True))
    run(Job(folder / "fixed.nii.gz", folder / "moving.nii.gz", folder / "out_", recipe=EVERYTHING))
    return folder


def layers_of(path):
    """Layers by name, as napari has them read."""
    layers = get_reader(str(path))(str(path))
    return {arguments["name"]: (data, arguments, kind) for data, arguments, kind in layers}


def same(one, other):
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1]["affine"], other[1]["affine"])
    return one[2] == other[2]


@pytest.mark.parametrize("name", ["out", "out/sub-01_report.json"])
def test_a_registration_becomes_layers(volumes, name):
    found = layers_of(volumes / name)
    assert list(found) == ["fixed", "warped", "warp"]
    assert same(found["fixed"], image_layer(read_image(volumes / "fixed.nii.gz"), ""))
    assert same(found["warped"], image_layer(read_image(volumes / "out" / "sub-01_Warped.nii.gz"), ""))
    assert same(found["warp"], vectors_layer(warpline.read_transform(volumes / "out" / "sub-01_1Warp.nii.gz"), ""))
    assert {found[name][1]["blending"] for name in ("fixed", "warped")} == {"additive"}
    assert found["warp"][1]["features"]["mm"].max() > 0.5


def test_weights_and_uncertainty_are_there_but_hidden(planes):
    found = layers_of(planes / "out_report.json")
    assert list(found) == ["fixed", "warped", "robust weights", "uncertainty", "warp"]
    assert {data.shape for data, _, kind in found.values() if kind == "image"} == {(22, 24)}
    assert found["warp"][0].shape[1:] == (2, 2)
    assert [name for name, (_, arguments, _) in found.items() if not arguments.get("visible", True)] == [
        "robust weights",
        "uncertainty",
    ]


def test_what_is_gone_or_changed_is_named(volumes, tmp_path):
    shutil.copytree(volumes, tmp_path / "copy")
    (tmp_path / "copy" / "out" / "sub-01_1Warp.nii.gz").unlink()
    shutil.copy(volumes / "moving.nii.gz", tmp_path / "copy" / "fixed.nii.gz")
    with pytest.warns(UserWarning, match=r"not shown: .*sub-01_1Warp.nii.gz, fixed.nii.gz$"):
        assert list(layers_of(tmp_path / "copy" / "out")) == ["warped"]


def test_a_sidecar_of_a_cohort_is_a_registration(volumes, tmp_path):
    report = json.loads((volumes / "out" / "sub-01_report.json").read_text())
    labels = Image(np.ones((3, 4, 5), np.uint8), Grid((3, 4, 5), np.eye(4)))
    write_image(labels, tmp_path / "sub-01_dseg.nii.gz")
    report["outputs"] = {"warped_labels": "sub-01/anat/sub-01_dseg.nii.gz"}
    report["inputs"]["fixed"]["path"] = str(volumes / "fixed.nii.gz")
    (tmp_path / "sub-01_desc-registration_qc.json").write_text(json.dumps(report))
    found = layers_of(tmp_path)
    assert {name: kind for name, (_, _, kind) in found.items()} == {"fixed": "image", "warped labels": "labels"}


def test_one_of_several_registrations_is_asked_for(volumes, tmp_path):
    for name in "ab":
        shutil.copy(volumes / "out" / "sub-01_report.json", tmp_path / f"{name}_report.json")
    with pytest.raises(UsageError, match=r"reports of 2 registrations; open one of them: a_report.json"):
        layers_of(tmp_path)


def test_files_become_images_or_arrows(volumes, tmp_path):
    warp = volumes / "out" / "sub-01_1Warp.nii.gz"
    assert same(layers_of(warp)["sub-01_1Warp"], vectors_layer(warpline.read_transform(warp), ""))
    warpline.write_transform(warpline.read_transform(warp), tmp_path / "warp.nrrd")
    assert layers_of(tmp_path / "warp.nrrd")["warp"][2] == "vectors"
    for name, kind in (("image.mha", "image"), ("image.ome.zarr", "image"), ("sub-01_dseg.nii.gz", "labels")):
        write_image(Image(np.ones((3, 4, 5), np.uint8), Grid((3, 4, 5), np.eye(4))), tmp_path / name)
        assert layers_of(tmp_path / name)[name.partition(".")[0]][2] == kind


def test_a_damaged_file_is_named(volumes, tmp_path):
    (tmp_path / "cut.nii.gz").write_bytes((volumes / "out" / "sub-01_1Warp.nii.gz").read_bytes()[:5000])
    with pytest.raises(InputError, match=r"cut.nii.gz"):
        layers_of(tmp_path / "cut.nii.gz")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"recipe": {}, "inputs": [], "outputs": {}}',
        '{"recipe": {}, "inputs": {"fixed": 1}, "outputs": {}}',
    ],
)
def test_what_is_no_registration_is_left_to_others(tmp_path, content):
    (tmp_path / "report.json").write_text(content)
    assert get_reader(str(tmp_path / "report.json")) is None and get_reader(str(tmp_path)) is None
    assert get_reader(["a.nii.gz", "b.nii.gz"]) is None


@pytest.mark.interoperability
def test_the_manifest_is_valid_and_names_the_reader():
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    (command,) = manifest.contributions.commands
    assert EntryPoint("", str(command.python_name), "").load() is get_reader
    assert manifest.contributions.readers[0].command == command.id


@pytest.mark.interoperability
def test_napari_opens_a_registration(volumes):
    components = pytest.importorskip("napari.components")  # not "napari": tests/ has a folder of that name
    pytest.importorskip("npe2").PluginManager.instance().discover()
    viewer = components.ViewerModel()
    viewer.open(volumes / "out", plugin="warpline")
    assert [(layer.name, layer._type_string) for layer in viewer.layers] == [
        ("fixed", "image"),
        ("warped", "image"),
        ("warp", "vectors"),
    ]
    corner = viewer.layers["fixed"].data_to_world((0, 0, 0))
    r, a, s = read_image(volumes / "fixed.nii.gz").grid.affine[:3, 3]
    np.testing.assert_allclose(corner, (s, -a, -r), rtol=1e-6)
