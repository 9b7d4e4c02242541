"""Downloads in pieces, with a CuPy that is only pretended; the real one: test_cuda_gpu.py."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from warpline.backends import cuda_staging
from warpline.backends.cuda_staging import Staging, pieces


class Copied:
    """An array of the device, whose copies arrive when their event is waited for."""

    asked = threading.local()
    """The copy that each thread has asked for last."""

    def __init__(self, held):
        self.held, self.shape, self.dtype, self.nbytes = held, held.shape, held.dtype, held.nbytes

    def __getitem__(self, index):
        return type(self)(self.held[index])

    def get(self, out, blocking):
        assert not blocking
        assert out.flags.c_contiguous
        Copied.asked.last = out, self.held


@pytest.fixture
def device(monkeypatch):
    """A pretended CuPy, with small buffers."""
    monkeypatch.setattr(cuda_staging, "PIECE_BYTES", 64)
    queue, pinned = [], []

    class Event:
        def __init__(self, block, disable_timing):
            assert block, "threads that spin take the processor from those that register"

        def record(self):
            self.copy = Copied.asked.last

        def synchronize(self):
            out, held = self.copy
            out[...] = held

    def alloc_pinned_memory(size):
        pinned.append(bytearray(size))
        return pinned[-1]

    def synchronize():
        while queue:
            queue.pop(0)()

    stream = SimpleNamespace(synchronize=synchronize)
    cuda = SimpleNamespace(Event=Event, alloc_pinned_memory=alloc_pinned_memory, get_current_stream=lambda: stream)
    return SimpleNamespace(xp=SimpleNamespace(cuda=cuda), queue=queue, pinned=pinned)


@pytest.mark.parametrize("shape", [(200,), (3, 5, 7), (2, 1, 1, 40), (1, 1, 1, 1)])
def test_a_download_fills_an_array_piece_by_piece(device, shape):
    held = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    whole = np.zeros([2 * n for n in shape], np.float32)
    part = whole[tuple(slice(None, None, 2) for _ in shape)]
    Staging(device.xp, nullcontext()).download(Copied(held), part)
    np.testing.assert_array_equal(part, held)


def test_a_download_holds_what_was_queued_before_it(device):
    held, found = np.zeros(100, np.float32), np.empty(100, np.float32)
    device.queue.append(lambda: held.fill(7))
    Staging(device.xp, nullcontext()).download(Copied(held), found)
    np.testing.assert_array_equal(found, 7)


def test_buffers_are_pinned_once_and_used_again(device):
    staging, held = Staging(device.xp, nullcontext()), np.arange(4000, dtype=np.float32)
    for _ in range(2):
        found = np.empty_like(held)
        staging.download(Copied(held), found)
        np.testing.assert_array_equal(found, held)
    assert [len(memory) for memory in device.pinned] == [64 * cuda_staging.BUFFERS]


class Broken(Copied):
    """An array whose copies fail."""

    def get(self, out, blocking):
        raise OSError("the device is gone")


def test_a_download_that_fails_gives_its_buffer_back(device):
    staging, held = Staging(device.xp, nullcontext()), np.arange(100, dtype=np.float32)
    for _ in range(2 * cuda_staging.BUFFERS):
        with pytest.raises(OSError, match="the device is gone"):
            staging.download(Broken(held), np.empty_like(held))
    found = np.empty_like(held)
    staging.download(Copied(held), found)
    np.testing.assert_array_equal(found, held)


def test_threads_share_the_buffers(device):
    staging = Staging(device.xp, nullcontext())

    def one(seed):
        held = np.random.default_rng(seed).normal(size=5000).astype(np.float32)
        found = np.empty_like(held)
        staging.download(Copied(held), found)
        return np.array_equal(found, held)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(20)))


@pytest.mark.parametrize("shape", [(7,), (3, 4, 5), (2, 3, 4, 5), (1, 1, 1, 200), (5, 0, 3)])
@pytest.mark.parametrize("most", [1, 6, 20, 1000])
def test_pieces_cover_every_element_once(shape, most):
    seen = np.zeros(shape, int)
    for index in pieces(shape, most):
        assert seen[index].size <= max(most, 1)
        assert seen[index].flags.c_contiguous
        seen[index] += 1
    assert (seen == 1).all()
