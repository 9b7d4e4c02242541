"""What is compiled before a registration on a GPU is what it runs."""

from __future__ import annotations

import threading

import pytest

from cuda_on_cpu import emulated
from cuda_on_cpu.recorded import Recorder
from cuda_on_cpu.two_worlds import TwoWorldsGraphRuntime
from warpline.backends import cuda_compile, cuda_filters
from warpline.backends.cuda_backend import CudaBackend
from warpline.backends.cuda_workspace import Workspace
from warpline.phantom import brain_pair
from warpline.recipe import Linear, Recipe, Syn
from warpline.registration import initialisation
from warpline.registration.alignment import align

RECIPE = Recipe(linear=Linear(samples=1000), syn=Syn(iterations=(6, 6, 6)))
PARTS = ("linear", "local_cc")
DEPENDS_ON_THE_IMAGES = {"unfold", "local_cc"}
"""Kernels of which a build runs for some images only."""


class Launches:
    """A workspace whose builds are counted where they are launched."""

    def __init__(self, monkeypatch):
        self.builds = set()
        launch = Workspace.launch

        def launched(work, name, grid, defines=(), *more, **arguments):
            self.builds.add((name, defines))
            return launch(work, name, grid, defines, *more, **arguments)

        monkeypatch.setattr(Workspace, "launch", launched)


@pytest.fixture(scope="module")
def registered():
    """Builds and element-wise kernels of a registration for which nothing was compiled ahead."""
    if not emulated.available():
        pytest.skip(f"no C++ compiler called {emulated.COMPILER}")
    pair, turns, recorder = brain_pair((24, 28, 24), voxel_size=7.5), initialisation._lattice()[::20], Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(initialisation, "_lattice", lambda: turns)
        patch.setattr(CudaBackend, "prepare", lambda backend, parts: None)
        launches = Launches(patch)
        recorder.patch(patch)
        align(pair.fixed, pair.moving, RECIPE, backend=CudaBackend(TwoWorldsGraphRuntime()))
    return launches.builds, recorder.kernels


def test_kernels_are_those_that_a_registration_launches(registered):
    launched, listed = registered[0], set(cuda_compile.kernels_of(PARTS))
    assert launched - listed == set()
    unused = listed - launched - set(cuda_compile.LARGE_FIELDS)
    assert {name for name, _ in unused} <= DEPENDS_ON_THE_IMAGES


def test_smoothing_of_large_fields_is_what_is_launched_for_them(monkeypatch):
    launches = Launches(monkeypatch)
    monkeypatch.setattr(cuda_filters, "FEW", 0)
    backend = CudaBackend(TwoWorldsGraphRuntime())
    with backend.session():
        for components, sigma in ((3, RECIPE.syn.update_sigma), (1, 1.0)):
            backend.smooth(backend.zeros((3, 6, 6, 6) if components == 3 else (6, 6, 6)), (sigma,) * 3)
    assert launches.builds == set(cuda_compile.LARGE_FIELDS)


def test_element_wise_steps_are_those_of_a_registration(registered, monkeypatch):
    recorder, backend = Recorder(), CudaBackend(TwoWorldsGraphRuntime())
    recorder.patch(monkeypatch)
    backend.prepare(PARTS)
    assert registered[1] - recorder.kernels == set()


def test_every_step_and_kernel_of_every_part_runs(monkeypatch):
    failed, work = [], Workspace(TwoWorldsGraphRuntime())

    def attempt(task):
        try:
            task()
        except Exception as error:
            failed.append((task, error))

    monkeypatch.setattr(cuda_compile, "_attempt", attempt)
    cuda_compile.compile_ahead(work, (*cuda_compile.KERNELS, "class_means"), 2)
    assert failed == []
    assert set(work._functions) == set(cuda_compile.kernels_of(cuda_compile.KERNELS))


def test_parts_are_compiled_once(monkeypatch):
    asked, backend = [], CudaBackend(TwoWorldsGraphRuntime())
    monkeypatch.setattr(cuda_compile, "compile_ahead", lambda work, parts, threads: asked.append(parts))
    for parts in (["linear"], ["linear", "local_cc"], ["local_cc"]):
        backend.prepare(parts)
    assert asked == [["linear"], ["local_cc"]]


def test_a_kernel_that_cannot_be_compiled_fails_in_words_where_it_is_launched():
    class Broken(TwoWorldsGraphRuntime):
        def compile(self, source, entry):
            if entry == "set_zero":
                raise RuntimeError("set_zero.cu(7): error")
            return super().compile(source, entry)

    backend = CudaBackend(Broken(), threads=2)
    backend.prepare(["linear"])
    with backend.session(), pytest.raises(RuntimeError, match="set_zero"):
        backend._work.zeroed()


def test_without_threads_everything_is_compiled_where_it_is_used(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    backend = CudaBackend(TwoWorldsGraphRuntime(), threads=2)
    backend.prepare(["linear"])
    with backend.session():
        assert backend.download(backend._work.zeroed())[0] == 0
