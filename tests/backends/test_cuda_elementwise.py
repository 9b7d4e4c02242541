"""The element-wise steps that are compiled ahead are those of a registration."""

from __future__ import annotations

from cuda_on_cpu.recorded import PARTS, Recorder, registered
from cuda_on_cpu.two_worlds import TwoWorldsGraphRuntime
from warpline.backends.cuda_backend import CudaBackend


def test_element_wise_steps_are_those_of_a_registration(monkeypatch):
    recorder, backend = Recorder(), CudaBackend(TwoWorldsGraphRuntime())
    recorder.patch(monkeypatch)
    backend.prepare(PARTS)
    assert registered()[1] - recorder.kernels == set()
