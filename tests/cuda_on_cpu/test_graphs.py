"""Captured iterations: replayed launches know addresses only, so that everything they use must stay where it was."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from cuda_on_cpu import emulated
from synthetic import pair_with_known_map, smooth_field
from warpline.backends.cuda_backend import CudaBackend
from warpline.backends.cuda_workspace import MOST_GRAPHS
from warpline.recipe import Syn
from warpline.registration.cropping import Channel, CroppedPair
from warpline.registration.syn import register_syn
from warpline.space.grid import Grid

SHAPE = (18, 17, 16)
OPTIONS = Syn(factors=(2.0, 1.0), iterations=(25, 12), early_stop=None)
MODELS = [OPTIONS.model_copy(update={"model": model}) for model in ("syn", "bspline", "velocity")]


@pytest.fixture(autouse=True)
def compiler():
    if not emulated.available():
        pytest.skip(f"no C++ compiler called {emulated.COMPILER}")


def half_maps(backend, options=OPTIONS):
    fixed, moving = pair_with_known_map(SHAPE, 1)[:2]
    grid = Grid(SHAPE, np.eye(4))
    images = Channel(backend.upload(fixed), backend.upload(moving), grid, grid)
    pair = CroppedPair((images,), np.eye(4), backend.upload(np.ones(SHAPE, np.uint8)))
    with backend.session():
        found = register_syn(pair, options, backend=backend)
    return backend.download(found.to_fixed), backend.download(found.to_moving), found.levels


@pytest.mark.parametrize("options", MODELS, ids=lambda options: options.model)
def test_replayed_graphs_give_the_bits_of_single_launches(options):
    eager = half_maps(CudaBackend(emulated.EmulatedRuntime()), options)
    replayed = half_maps(CudaBackend(emulated.GraphRuntime()), options)
    for a, b in zip(eager[:2], replayed[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    assert [level.energies for level in eager[2]] == [level.energies for level in replayed[2]]


def watched_captures():
    """A backend that replays graphs, and the steps that it has captured."""
    runtime, captures = emulated.GraphRuntime(), []
    capture = runtime.capture
    runtime.capture = lambda step: (captures.append(step), capture(step))[1]
    return CudaBackend(runtime), captures


def test_steps_that_take_turns_are_captured_once_each():
    backend, captures = watched_captures()
    field = backend.upload(smooth_field((8, 8, 8), 1))
    out = backend.empty(field.shape)

    def first():
        backend.compose(field, field, out=out)

    def second():
        backend.smooth(field, (1.0, 1.0, 1.0), out=out)

    with backend.session():
        for step, times in ((first, 3), (first, 2), (second, 2), (first, 1), (first, 2)):
            backend.repeat(step, times)
    assert captures == [first, second]


class Smoothing:
    """Steps whose graphs keep the array that they allocate alive."""

    def __init__(self, backend, results):
        self.backend, self.results = backend, results
        self.field = backend.upload(smooth_field((8, 8, 8), 1))

    def step(self):
        self.results.append(weakref.ref(self.backend.smooth(self.field, (1.0, 1.0, 1.0))))


def test_a_graph_and_its_arrays_are_freed_with_their_object():
    (backend, captures), results = watched_captures(), []
    with backend.session():
        for _ in range(2):
            level = Smoothing(backend, results)
            backend.repeat(level.step, 3)
            assert results[-1]() is not None
            del level
            captures.clear()  # it has a reference to the step
            gc.collect()
            assert results[-1]() is None, "within the session"


def test_of_many_captured_steps_the_oldest_goes():
    backend, captures = watched_captures()
    levels = [Smoothing(backend, []) for _ in range(MOST_GRAPHS + 1)]
    with backend.session():
        for level in (*levels, levels[-1], levels[0]):
            backend.repeat(level.step, 2)
    assert captures == [level.step for level in (*levels, levels[0])]


def test_what_a_captured_step_allocates_outlives_the_capture():
    backend = CudaBackend(emulated.GraphRuntime())
    field = backend.upload(smooth_field((8, 8, 8), 1))
    smoothed, out = backend.empty(field.shape), backend.empty(field.shape)
    scale = backend.upload(np.array([0.5], np.float32))

    def step():
        norm = backend.zeros((1,), np.float32)
        backend.smooth(field, (1.0, 1.0, 1.0), out=smoothed, out_norm=norm)
        backend.compose(field, smoothed, norm=norm, step=scale, out=out)

    with backend.session():
        backend.repeat(step, 2)
        expected = out.copy()
        gc.collect()
        rubbish = [np.full(1, 1e9, np.float32) for _ in range(1000)]
        backend.repeat(step, 5)
        np.testing.assert_array_equal(out, expected)
        del rubbish
        scale *= np.float32(0.5)
        backend.repeat(step, 1)
    assert (out != expected).any()


def test_what_a_captured_step_converts_outlives_the_capture():
    backend = CudaBackend(emulated.GraphRuntime())
    field, out = smooth_field((8, 8, 8), 1), backend.empty((3, 8, 8, 8))
    doubles = field.astype(np.float64)  # no field that a kernel reads as it is

    def step():
        backend.compose(doubles, doubles, out=out)

    with backend.session():
        backend.repeat(step, 1)
        gc.collect()
        rubbish = [np.full(field.shape, np.nan, np.float32) for _ in range(50)]
        backend.repeat(step, 1)
    expected = CudaBackend(emulated.EmulatedRuntime()).compose(field, field, out=np.empty_like(field))
    np.testing.assert_array_equal(out, expected)
    assert len(rubbish) == 50
