"""Sources, signatures and checked launches of the GPU backend; nothing here needs a GPU."""

from __future__ import annotations

import re

import numpy as np
import pytest

from kernel_builds import KERNELS, builds
from warpline.backends import cuda_launch
from warpline.backends.cuda_launch import Parameter, launch, load, parse


class Recorder:
    """A runtime on NumPy, and a compiled function that only remembers its arguments."""

    xp = np

    def __init__(self):
        self.arguments = None

    def __call__(self, grid, block, arguments):
        self.arguments = arguments


def launched(name="gradient", grid=(1, 1, 1), **arguments):
    recorder = Recorder()
    launch(recorder, recorder, load(name), grid, (32, 8, 1), **arguments)
    return recorder.arguments


def field(shape=(3, 4, 5, 6), dtype=np.float32):
    return np.zeros(shape, dtype)


def fields(many=1):
    return np.zeros((many, 3, 4, 5, 6), np.float32)


VOLUME = np.zeros((4, 5, 6), np.float32)


@pytest.mark.parametrize(("name", "defines"), builds())
def test_every_build_declares_one_parameter_per_argument(name, defines):
    kernel = load(name, defines)
    signature = kernel.source.split(f" {name}(\n")[1].split(") {\n")[0]
    assert len(kernel.parameters) == sum(re.sub("//.*", "", line).count(",") for line in signature.splitlines()) + 1


SOURCE = """struct Box {{ int n; }};
extern "C" __global__ void __launch_bounds__(256) scale(
    const {array}* array,  {comment}
    {scalar} scalar) {{
}}
"""


def parsed(array="float", scalar="int", comment="// (n)"):
    return parse("scale", SOURCE.format(array=array, scalar=scalar, comment=comment)).parameters


def test_scalars_and_structs_are_told_apart():
    assert [parameter.dtype for parameter in parsed()] == [np.dtype(np.float32), np.dtype(np.int32)]
    assert parsed(scalar="Box")[1].dtype is None


@pytest.mark.parametrize("wrong", [{"array": "flaot"}, {"scalar": "itn"}, {"scalar": "Boxes"}])
def test_a_misspelt_type_is_no_struct(wrong):
    with pytest.raises(AssertionError, match=next(iter(wrong.values()))):
        parsed(**wrong)


def test_an_array_without_a_declared_shape_is_refused():
    with pytest.raises(AssertionError, match="array needs its shape in a comment"):
        parsed(comment="")


@pytest.mark.parametrize("name", KERNELS)
def test_names_in_shapes_are_parameters_or_described(name):
    """A length that a kernel needs is passed under the name that the shapes use."""
    kernel = load(name)
    used = {d for p in kernel.parameters for d in p.shape or () if isinstance(d, str)}
    given = {p.name for p in kernel.parameters if p.shape is None}
    assert {"ni", "nj", "nk"} & used <= given


def test_a_declaration_is_read():
    volume, out, *lengths = load("gradient").parameters
    assert volume == Parameter("volume", np.dtype(np.float32), ("ni", "nj", "nk"))
    assert out == Parameter("out", np.dtype(np.float32), (3, "ni", "nj", "nk"))
    assert [p.name for p in lengths] == ["ni", "nj", "nk"]
    assert {p.dtype for p in lengths} == {np.dtype(np.int32)}
    assert load("compose").parameters[2].optional
    assert load("sample_field").parameters[1].dtype is None


def test_a_define_changes_the_declared_type():
    assert load("sample", (("ORDER", 0), ("VALUE", "unsigned short"))).parameters[0].dtype == np.uint16
    assert load("sample").parameters[0].dtype == np.float32


def test_headers_are_inlined_once_with_true_line_numbers():
    source = load("joint_histogram").source
    assert "#include" not in source
    assert source.count("struct Box {") == 1
    for name in ("joint_histogram.cu", "parzen.cuh", "sample_points.cuh", "volume.cuh"):
        assert f'#line 1 "{name}"' in source


def test_lengths_are_filled_in_and_scalars_cast():
    *_, ni, nj, nk = launched(volume=VOLUME, out=field())
    assert [ni, nj, nk] == [4, 5, 6]
    assert {type(n) for n in (ni, nj, nk)} == {np.int32}
    arrays = {"outer": fields(), "inner": fields(), "norm": None, "factor": None, "out": fields()}
    arguments = launched("compose", **arrays, least_norm=1, step=2)
    assert arguments[2] is None
    assert isinstance(arguments[6], np.float32)


@pytest.mark.parametrize(
    ("volume", "out", "error", "said"),
    [
        (VOLUME.astype(np.float64), field(), TypeError, "gradient: volume is float64"),
        (np.asfortranarray(VOLUME), field(), TypeError, "volume is float32, strides"),
        (VOLUME, field((3, 4, 5, 7)), ValueError, r"out has shape \(3, 4, 5, 7\)"),
        (VOLUME, field((2, 4, 5, 6)), ValueError, r"out has shape \(2, 4, 5, 6\)"),
        (VOLUME[0], field(), ValueError, "volume has shape"),
        (None, field(), TypeError, "volume is NoneType"),
        ([[[1.0]]], field(), TypeError, "volume is list"),
    ],
)
def test_an_array_that_does_not_fit_is_refused(volume, out, error, said):
    with pytest.raises(error, match=said):
        launched(volume=volume, out=out)


def test_unknown_missing_and_wrong_arguments_are_refused():
    with pytest.raises(TypeError, match="gradient has no parameter sigma"):
        launched(volume=VOLUME, out=field(), sigma=1.0)
    with pytest.raises(TypeError, match="compose needs least_norm"):
        launched("compose", outer=fields(), inner=fields(), norm=None, factor=None, out=fields(), step=1.0)
    with pytest.raises(ValueError, match="ni is 9; the arrays say 4"):
        launched(volume=VOLUME, out=field(), ni=9)


def test_numbers_that_do_not_fit_are_refused():
    arrays = {"outer": fields(), "inner": fields(), "norm": None, "factor": None, "out": fields()}
    inverted = {"field": field(), "start": field(), "out": field(), "largest_residual": np.zeros(1, "f4")}
    with pytest.raises(ValueError, match="iterations is 4294967296, which int32 does not hold"):
        launched("invert", **inverted, tolerance=1, iterations=2**32)
    with pytest.raises(ValueError, match="a grid of"):
        launched("compose", grid=(1, 65536, 1), **arrays, least_norm=1, step=1)
    with pytest.raises(ValueError, match="a grid of"):
        launched("compose", grid=(1, 0, 1), **arrays, least_norm=1, step=1)


def test_a_kernel_remembers_few_shapes_and_is_right_about_all(monkeypatch):
    monkeypatch.setattr(cuda_launch, "MOST_KNOWN", 2)
    for n in (4, 5, 6, 4):
        *_, ni, nj, nk = launched(volume=np.zeros((n, 5, 6), np.float32), out=field((3, n, 5, 6)))
        assert [ni, nj, nk] == [n, 5, 6]
    assert len(load("gradient").known) <= 2


def test_a_struct_is_a_structured_array_of_one_element():
    with pytest.raises(TypeError, match="matrix must be a structured array"):
        launched("sample_field", field=field(), matrix=np.eye(4), out=field())
