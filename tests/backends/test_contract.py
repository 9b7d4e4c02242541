"""What holds for every operation of every backend: signatures, memory layouts, bitwise repeatability."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from backends.operations import OPERATIONS, SHAPE, results
from synthetic import smooth_field, smooth_volume, wide_field
from warpline.backends import BACKENDS
from warpline.backends.interface import Backend

LAYOUTS = {
    "fortran": np.asfortranarray,
    "strided": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
    "reversed": lambda array: array[::-1].copy()[::-1],
}


def read_only(array):
    copy = array.copy()
    copy.setflags(write=False)
    return copy


def parameters(method):
    return [(p.name, p.kind, p.default) for p in inspect.signature(method).parameters.values()]


METHODS = [name for name, _ in inspect.getmembers(Backend, inspect.isfunction) if not name.startswith("_")]


@pytest.mark.parametrize("method", METHODS)
def test_signatures_are_those_of_the_interface(backend, method):
    assert parameters(getattr(type(backend), method)) == parameters(getattr(Backend, method))


def test_backend_says_its_name_and_device(backend):
    assert backend.name in BACKENDS
    assert backend.device


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_memory_layout_does_not_matter(backend, operation, layout):
    plain = results(operation, backend)
    other = results(operation, backend, lambda array: backend.upload(LAYOUTS[layout](array)))
    for a, b in zip(plain, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_read_only_input_is_accepted(backend, operation):
    plain = results(operation, backend)
    other = results(operation, backend, lambda array: backend.upload(read_only(array)))
    for a, b in zip(plain, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_input_is_left_as_it_was(backend, operation):
    seen = []

    def upload(array):
        copy = array.copy()
        seen.append((array, backend.upload(copy)))
        return seen[-1][1]

    results(operation, backend, upload)
    assert seen
    for before, after in seen:
        np.testing.assert_array_equal(before, backend.download(after))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_calls_repeat_bitwise_on_any_number_of_threads(make_backend, backend, operation):
    first = results(operation, backend)
    for threads in (2, 1):
        again = results(operation, make_backend(threads=threads))
        for a, b in zip(first, again, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int64, np.float32, np.float64])
def test_upload_keeps_dtype_and_values_and_makes_contiguous(backend, dtype):
    array = np.asfortranarray(np.arange(24).reshape(2, 3, 4) % 2).astype(dtype, order="K")
    back = backend.download(backend.upload(array))
    assert back.dtype == dtype
    assert back.flags.c_contiguous
    np.testing.assert_array_equal(back, array)


def test_empty_and_zeros_have_the_shape_and_dtype_asked_for(backend):
    assert backend.empty((2, 3)).shape == (2, 3)
    assert backend.empty((2, 3)).dtype == np.float32
    assert backend.empty((4,), np.float64).dtype == np.float64
    zeros = backend.download(backend.zeros((3, 2, 1), np.uint8))
    assert zeros.dtype == np.uint8
    assert zeros.shape == (3, 2, 1)
    assert not zeros.any()


@pytest.mark.parametrize("times", [0, 1, 7])
def test_repeat_runs_the_step_that_many_times(backend, times):
    fields = [backend.zeros((3, 4, 4, 4)), backend.zeros((3, 4, 4, 4))]
    ones = backend.upload(np.ones((3, 4, 4, 4), dtype=np.float32))

    def add_one():
        backend.compose(fields[0], ones, out=fields[1])
        backend.sample_field(fields[1], np.eye(4), (4, 4, 4), out=fields[0])

    backend.repeat(add_one, times)
    np.testing.assert_array_equal(backend.download(fields[0]), np.full((3, 4, 4, 4), times, dtype=np.float32))


def test_a_download_fills_the_part_of_an_array_that_it_is_given(backend):
    field = smooth_field(SHAPE, 1)
    whole = np.zeros((3, *(n + 2 for n in SHAPE)), np.float32)
    part = whole[:, 1:-1, 1:-1, 1:-1]
    assert backend.download(backend.upload(field), out=part) is part
    np.testing.assert_array_equal(part, field)
    assert np.count_nonzero(whole) == np.count_nonzero(field)


def test_only_arrays_of_a_gpu_are_not_on_the_host(backend):
    assert backend.on_host == (backend.name != "cuda")
    assert backend.ordinal == (None if backend.on_host else 0)


def test_memory_can_be_given_back_at_any_time(backend):
    kept = backend.upload(smooth_field(SHAPE, 1))
    with backend.session():
        backend.release()
        determinants = backend.download(backend.jacobian(kept))
    backend.release()
    np.testing.assert_array_equal(determinants, backend.download(backend.jacobian(kept)))


def test_sessions_nest_and_operations_work_in_and_out_of_them(backend):
    field = smooth_field(SHAPE, 1)
    with backend.session(), backend.session():
        inside = backend.download(backend.jacobian(backend.upload(field)))
    np.testing.assert_array_equal(inside, backend.download(backend.jacobian(backend.upload(field))))


def test_stacks_give_what_each_volume_or_field_gives_alone(backend):
    volumes = backend.upload(np.stack([smooth_volume(SHAPE, seed) for seed in (1, 2)]))
    outer = backend.upload(np.stack([smooth_field(SHAPE, seed) for seed in (3, 4)]))
    inner = backend.upload(np.stack([wide_field(SHAPE, seed) for seed in (5, 6)]))
    norms = backend.upload(np.array([2.0, 3.0], np.float32))
    sampled = backend.sample(volumes, field=inner, outside=0.5, out=backend.empty((2, *SHAPE)))
    composed = backend.compose(outer, inner, norm=norms, step=0.5, out=backend.empty(inner.shape))
    for sigma in (1.5, 0.4, 2.3):
        longest = backend.zeros((2,), np.float32)
        smoothed = backend.smooth(inner, (sigma,) * 3, out_norm=longest)
        for side in (0, 1):
            norm = backend.zeros((1,), np.float32)
            alone = backend.smooth(inner[side], (sigma,) * 3, out_norm=norm)
            np.testing.assert_array_equal(backend.download(longest)[side : side + 1], backend.download(norm))
            np.testing.assert_array_equal(backend.download(smoothed[side]), backend.download(alone))
    for side in (0, 1):
        alone = backend.sample(volumes[side], field=inner[side], outside=0.5)
        np.testing.assert_array_equal(backend.download(sampled[side]), backend.download(alone))
        norm, out = norms[side : side + 1], backend.empty((3, *SHAPE))
        alone = backend.compose(outer[side], inner[side], norm=norm, step=0.5, out=out)
        np.testing.assert_array_equal(backend.download(composed[side]), backend.download(alone))
