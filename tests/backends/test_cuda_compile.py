"""What is compiled before a registration on a GPU is what it runs; what fails there fails where it is used."""

from __future__ import annotations

import threading

import pytest

from cuda_on_cpu.recorded import PARTS, RECIPE, Launches, registered
from cuda_on_cpu.two_worlds import TwoWorldsGraphRuntime
from warpline.backends import cuda_compile, cuda_filters
from warpline.backends.cuda_backend import CudaBackend
from warpline.backends.cuda_workspace import Workspace

DEPENDS_ON_THE_IMAGES = {"unfold", "local_cc"}
"""Kernels of which a build runs for some images only, or after the registration."""


def test_kernels_are_those_that_a_registration_launches():
    launched, listed = registered()[0], set(cuda_compile.kernels_of(PARTS))
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


def test_what_fails_to_compile_fails_where_it_is_launched():
    class Broken(TwoWorldsGraphRuntime):
        def compile(self, source, entry):
            if entry == "set_zero":
                raise RuntimeError("set_zero.cu(7): error")
            return super().compile(source, entry)

    backend = CudaBackend(Broken(), threads=2)
    backend.prepare(["linear"])
    with backend.session(), pytest.raises(RuntimeError, match="set_zero"):
        backend._work.zeroed()


def test_without_threads_kernels_are_compiled_where_launched(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    backend = CudaBackend(TwoWorldsGraphRuntime(), threads=2)
    backend.prepare(["linear"])
    with backend.session():
        assert backend.download(backend._work.zeroed())[0] == 0
