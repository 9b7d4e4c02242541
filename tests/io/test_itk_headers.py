"""Headers of NRRD and MetaImage are checked before ITK reads them."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from warpline.errors import InputError
from warpline.io.images import read_image

HEADER = "type: float\ndimension: 3\nsizes: 6 5 4\nendian: little\nencoding: raw\n"


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("a.nhdr", "data file: /etc/passwd\n", "keeps its data in '/etc/passwd'"),
        ("a.nhdr", "data file: ../b.raw\n", r"keeps its data in '\.\./b\.raw'"),
        ("a.nhdr", "datafile: absent.raw\n", "keeps its data in 'absent.raw'"),
        ("a.nhdr", "data file: s%03d.raw 1 4 1\n", "keeps its data in 's%03d.raw 1 4 1'"),
        ("a.nhdr", "data file: LIST\nb.raw\n", "keeps its data in 'LIST'"),
        ("a.nhdr", "data file: b.raw\ndatafile: ../b.raw\n", "says twice what its datafile is"),
        ("a.nhdr", "data file: short.raw\n", "promises 120 values, but its data can hold at most 1"),
        ("a.nrrd", "sizes: 6 5 400000000\n\n", "promises 12000000000 values"),
        ("a.nrrd", "# " + "x" * 70000 + "\n\n", "has a header of more than 32768 bytes"),
        ("a.nrrd", "\n", "promises 120 values, but its data can hold at most 51"),
        ("a.nrrd", "# " + "x" * 500 + "\n\n", "is damaged or cut short"),
        ("a.nrrd", "encoding: gzip\n\n", "damaged data"),
    ],
)
def test_data_elsewhere_and_promises_are_refused(tmp_path, name, lines, message):
    (tmp_path / "short.raw").write_bytes(bytes(5))
    (tmp_path / "b.raw").write_bytes(bytes(480))
    folder = tmp_path / "inner"
    folder.mkdir()
    (folder / "short.raw").write_bytes(bytes(5))
    (folder / "b.raw").write_bytes(bytes(480))
    kept = [line for line in HEADER.splitlines() if line.partition(":")[0] not in lines]
    (folder / name).write_text(
        "NRRD0004\n" + "".join(f"{line}\n" for line in kept) + lines + ("" if name == "a.nhdr" else "x" * 130)
    )
    with pytest.raises(InputError, match=message) as caught:
        read_image(folder / name)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    "hidden",
    ["Comment = x\x0cElementDataFile = b.raw", "Comment = x\rElementDataFile = b.raw", "\tElementDataFile = b.raw"],
)
def test_no_line_hides_where_the_data_are(tmp_path, hidden):
    """ITK would take the line after it for the one that counts, or the other way round."""
    folder = tmp_path / "inner"
    folder.mkdir()
    for path in (tmp_path / "b.raw", folder / "b.raw"):
        path.write_bytes(bytes(4))
    head = "NDims = 2\nDimSize = 2 2\nElementType = MET_UCHAR\n"
    (folder / "a.mhd").write_bytes(f"{head}{hidden}\nElementDataFile = ../b.raw\n".encode())
    with pytest.raises(InputError, match=r"keeps its data in '\.\./b\.raw'|odd ends of lines|says twice"):
        read_image(folder / "a.mhd")


def test_a_link_beside_a_header_is_refused(tmp_path):
    (tmp_path / "b.raw").symlink_to("/etc/passwd")
    (tmp_path / "a.mhd").write_text(
        "ObjectType = Image\nNDims = 2\nDimSize = 2 2\nElementType = MET_UCHAR\nElementDataFile = b.raw\n"
    )
    with pytest.raises(InputError, match=r"keeps its data in 'b\.raw'"):
        read_image(tmp_path / "a.mhd")


@pytest.mark.parametrize(
    "line",
    [
        "NDims = 73",
        "NDims = 1",
        "DimSize = 0 5 4",
        "DimSize = 6 5 4 4",
        "TransformMatrix = 1 0 0 0 1 0 0 0",
        "Offset = 0 0 nan",
        "Comment = " + "x" * 3000,
        "ElementType = MET_STRING",
        "ElementNumberOfChannels = 1e9",
        "DimSize = 6 5 4\nDimSize = 6 5 4",
    ],
)
def test_metaimage_headers_that_crash_itk_are_refused(tmp_path, line):
    lines = ["NDims = 3", "DimSize = 6 5 4", "ElementType = MET_SHORT", "TransformMatrix = 1 0 0 0 1 0 0 0 1"]
    kept = [one for one in lines if one.partition(" ")[0] != line.partition(" ")[0]]
    (tmp_path / "a.mha").write_text(
        "\n".join(["Comment = x"][: "Comment" not in line] + kept + [line, "ElementDataFile = LOCAL\n"])
    )
    with pytest.raises(InputError, match=r"a\.mha (has a damaged header|says twice|promises 0)"):
        read_image(tmp_path / "a.mha")


def test_values_in_words_take_two_bytes_each(tmp_path):
    text = "NRRD0004\ntype: int32\ndimension: 3\nsizes: 5 4 3\nencoding: ascii\n\n" + "7 " * 60
    (tmp_path / "a.nrrd").write_text(text)
    assert read_image(tmp_path / "a.nrrd").data.tolist() == np.full((5, 4, 3), 7).tolist()


@pytest.mark.parametrize(
    "line",
    [
        "sizes: " + "9" * 600,
        "[" * 600,
        "kinds: domain\0domain",
        "spacings 1 1 1",
        "data file: " + "x" * 300,
    ],
)
def test_nrrd_headers_that_crash_itk_do_not_reach_it(tmp_path, line):
    (tmp_path / "a.nrrd").write_text(f"NRRD0004\n{HEADER}{line}\n\n" + "x" * 480, encoding="latin-1")
    with pytest.raises(InputError, match=r"a\.nrrd (has a damaged header|says twice|keeps its data in)"):
        read_image(tmp_path / "a.nrrd")


def test_wrong_axes_and_packed_sizes_are_refused(tmp_path):
    (tmp_path / "a.nrrd").write_text("NRRD0004\ntype: short\ndimension: 16\nsizes:" + " 1" * 16 + "\n\n" + "x" * 480)
    with pytest.raises(InputError, match=r"a\.nrrd has a damaged header \(dimension '16'\)"):
        read_image(tmp_path / "a.nrrd")
    head = "ObjectType = Image\nNDims = 3\nDimSize = 6 5 4\nElementType = MET_SHORT\nCompressedData = True\n"
    (tmp_path / "a.mha").write_bytes(
        f"{head}CompressedDataSize = 5000000000\nElementDataFile = LOCAL\n".encode() + zlib.compress(bytes(240))
    )
    with pytest.raises(InputError, match=r"a\.mha has data that are cut short, 5000000000 bytes are promised"):
        read_image(tmp_path / "a.mha")
