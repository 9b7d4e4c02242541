"""What GIFTI files may hold is checked before their data are decoded."""

from __future__ import annotations

import base64
import tracemalloc
import zlib

import numpy as np
import pytest

from warpline.errors import InputError
from warpline.io.surfaces import read_surface


def damaged(**changes):
    """A surface of one array with other attributes, or other data."""
    given = {
        "Dimensionality": "2", "Dim0": "1", "Dim1": "3", "Encoding": "ASCII", "ExternalFileName": "", "data": "1 2 3",
        "head": "",
    } | changes  # fmt: skip
    data, head = given.pop("data"), given.pop("head")
    attributes = " ".join(f'{name}="{value}"' for name, value in given.items())
    return (
        f'<?xml version="1.0"?>{head}<GIFTI Version="1.0" NumberOfDataArrays="1"><DataArray '
        'Intent="NIFTI_INTENT_POINTSET" DataType="NIFTI_TYPE_FLOAT32" ArrayIndexingOrder="RowMajorOrder" '
        f'Endian="LittleEndian" ExternalFileOffset="0" {attributes}><Data>{data}</Data></DataArray></GIFTI>'
    )


BOMB = base64.b64encode(zlib.compress(bytes(50_000_000))).decode()

ENTITIES = '<!DOCTYPE GIFTI [<!ENTITY a "1 2 3"><!ENTITY b "&a;&a;&a;&a;">]>'

HOSTILE = {
    "axes": ({"Dimensionality": "2147483647"}, "an array of 2147483647 axes"),
    "digits": ({"Dim0": "9" * 5000}, "an array of 2 axes, sizes"),
    "sizes": ({"Dim0": "2000000000"}, "numbers are declared"),
    "outside": ({"Encoding": "ExternalFileBinary", "ExternalFileName": "secret"}, "keeps its data in another file"),
    "bomb": ({"Encoding": "GZipBase64Binary", "data": BOMB}, "12 bytes are declared, .* or more are there"),
    "entities": ({"head": ENTITIES, "data": "&b;"}, "declares entities"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_before_they_take_memory(tmp_path, name):
    changes, message = HOSTILE[name]
    (tmp_path / "secret").write_bytes(bytes(12))
    (tmp_path / "x.surf.gii").write_text(damaged(**changes))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=message):
            read_surface(tmp_path / "x.surf.gii")
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def test_an_encoding_that_nobody_knows_is_told(tmp_path):
    (tmp_path / "x.surf.gii").write_text(damaged().replace('version="1.0"?', 'version="1.0" encoding="UmF-8"?', 1))
    with pytest.raises(InputError, match="unknown encoding"):
        read_surface(tmp_path / "x.surf.gii")


def test_the_sound_one_of_them_is_read(tmp_path):
    (tmp_path / "x.surf.gii").write_text(damaged())
    np.testing.assert_array_equal(read_surface(tmp_path / "x.surf.gii").points, [[1, 2, 3]])
