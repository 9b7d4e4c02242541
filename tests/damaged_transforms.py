"""Transform files to damage, and what becomes of reading them."""

from __future__ import annotations

import gzip
import tracemalloc

import h5py
import nibabel
import numpy as np

from made_morph import morph
from made_transforms import made_pair
from warpline.errors import InputError
from warpline.io.transform_files import FORMATS, read_transform
from warpline.space import Affine, Chain, Displacement
from warpline.space.grid import apply_affine

FIXED, MOVING = made_pair("left-handed", "oblique")


GRIDS = {"fixed": FIXED, "moving": MOVING}


HDF5 = ("itk-composite", "x5")


MEGABYTE = 2**20


def made_coefficients(path):
    image = nibabel.Nifti1Image(np.ones((7, 6, 8, 3), np.float32), None)
    image.header["intent_code"] = 2007
    image.header["intent_p1"], image.header["intent_p2"], image.header["intent_p3"] = FIXED.voxel_size
    image.header.set_zooms((3, 4, 2, 1))
    image.set_sform(np.eye(4), 1)
    offsets = np.diag([3.0, 4, 2, 1])
    offsets[:3, 3] = FIXED.shape
    image.set_qform(offsets, 1)
    nibabel.save(image, path)


def made_m3z(path):
    nodes = apply_affine(FIXED.affine, np.moveaxis(np.indices(FIXED.shape), 0, -1))
    path.write_bytes(gzip.compress(morph(nodes, FIXED, MOVING, kind=1)))


READ_ONLY = {"fsl-coefficients": made_coefficients, "freesurfer-m3z": made_m3z}


def outcome(path, name=None):
    """The error's text, or nothing when a transform came out; any other error passes through."""
    try:
        transform = read_transform(path, name, **GRIDS)
    except InputError as error:
        assert str(path) in str(error) or "so oblique" in str(error)
        return str(error)
    assert isinstance(transform, (Affine, Displacement, Chain))
    return ""


def peak(path, name):
    tracemalloc.start()
    try:
        assert outcome(path, name) != ""
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


DATASETS = {"itk-composite": "TransformGroup/2/TransformParameters", "x5": "TransformGroup/0/Transform"}


def hdf5_with(samples, tmp_path, name, change):
    path = tmp_path / f"bad{FORMATS[name].suffixes[0]}"
    path.write_bytes(samples[name].read_bytes())
    with h5py.File(path, "r+") as file:
        place = DATASETS[name]
        target = (file[place].parent, place.rpartition("/")[2])
        del file[place]
        change(*target)
    return path
