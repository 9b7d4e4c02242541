"""Where the host's time goes in a registration on a GPU, and what the primitives cost that it is made of."""

from __future__ import annotations

import cProfile
import io
import pstats
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

from gpu_place import Place

Call = Callable[[], object]

THREADS = 8
"""Threads that copy to the host's memory beside each other."""
LAUNCHES = 200
"""Of a kernel in one measured call."""


def profile(place: Place) -> int:
    """Profile of the host to ``OUT/profile.txt``; seconds with memory kept from run to run, and given back."""
    from warpline.registration.alignment import align

    pair, backend = place.pair, place.backend

    def once() -> None:
        align(pair.fixed, pair.moving, place.recipe, backend=backend)

    once()
    watched = cProfile.Profile()
    watched.runcall(once)
    (place.out / "profile.txt").write_text(tables(watched))
    for kept in (True, False):
        walls = []
        for _ in range(place.size.profiled):
            if not kept:
                backend.release()
            walls.append(_seconds(once))
        place.tell(step="profile", memory_kept=kept, walls=[round(wall, 4) for wall in walls])
    return 0


def tables(watched: cProfile.Profile) -> str:
    """By own time, by time with what is called, and who calls the functions of most own time."""
    text = io.StringIO()
    stats = pstats.Stats(watched, stream=text)
    stats.sort_stats("tottime").print_stats(45)
    stats.sort_stats("cumulative").print_stats(70)
    stats.sort_stats("tottime").print_callers(15)
    return text.getvalue()


def _seconds(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


# -- primitives -------------------------------------------------------------------------------------------------------


def costs(place: Place) -> int:
    """Milliseconds of every primitive, each a result of its own.

    Returns
    -------
    int
        How many failed.
    """
    failed = 0
    with place.backend.session():
        for prepare in (*ANYWHERE, *(() if place.rehearse else BY_CUPY)):
            try:
                for name, call, times in prepare(place):
                    place.tell(step="costs", cost=name, ms=_milliseconds(call, place.device.wait, times))
            except Exception as error:
                place.tell(step="costs", cost=prepare.__name__, error=f"{type(error).__name__}: {error}"[:600])
                failed += 1
    return failed


def _milliseconds(call: Call, wait: Call, times: int) -> float:
    """Median of some calls until the device is done, per `times` that each does it."""
    call()
    found = []
    for _ in range(5):
        wait()
        start = time.perf_counter()
        call()
        wait()
        found.append(time.perf_counter() - start)
    return round(median(found) * 1e3 / times, 5)


Prepared = list[tuple[str, Call, int]]
"""Name, call, and how often the call does what is named."""


def _field(place: Place) -> Any:
    return place.backend.zeros((3, *place.size.field))


def transfers(place: Place) -> Prepared:
    """Between the host and the device, as the backend does them."""
    import numpy as np

    backend, field = place.backend, _field(place)
    number, slices = backend.zeros((1,)), np.zeros(place.size.field, np.int16)
    old = np.ones(field.shape, np.float32)
    return [
        ("download a field", lambda: backend.download(field), 1),
        ("download a field to old pages", lambda: backend.download(field, old), 1),
        ("download a field later", lambda: backend.download_later(field)(), 1),
        ("download a number", lambda: backend.download(number), 1),
        ("upload a volume of int16", lambda: backend.upload(slices), 1),
        ("allocate a field", lambda: backend.empty(field.shape), 1),
    ]


def host_copies(place: Place) -> Prepared:
    """A field from one place of the host's memory to another: to pages that are new, and to pages that are there."""
    import numpy as np

    source = np.ones((3, *place.size.field), np.float32)
    target, pool = source.copy(), ThreadPoolExecutor(THREADS)
    part = -(-source.size // THREADS)

    def by_threads(into: Any) -> None:
        parts = [slice(n * part, (n + 1) * part) for n in range(THREADS)]
        list(pool.map(lambda at: np.copyto(into.reshape(-1)[at], source.reshape(-1)[at]), parts))

    return [
        ("copy a field to new pages", source.copy, 1),
        ("copy a field to old pages", lambda: np.copyto(target, source), 1),
        (f"copy a field to new pages, {THREADS} threads", lambda: by_threads(np.empty_like(source)), 1),
        (f"copy a field to old pages, {THREADS} threads", lambda: by_threads(target), 1),
    ]


def launches(place: Place) -> Prepared:
    """Operations on so little that only the host's part counts, and the same as a graph."""
    backend = place.backend
    field, smoothed = backend.zeros((3, 16, 16, 16)), backend.zeros((3, 16, 16, 16))
    volume, warped = backend.zeros((16, 16, 16)), backend.zeros((16, 16, 16))
    count = 1 if place.rehearse else LAUNCHES

    def sample() -> None:
        for _ in range(count):
            backend.sample(volume, field=field, out=warped)

    def smooth() -> None:
        for _ in range(count):
            backend.smooth(field, (1.5, 1.5, 1.5), out=smoothed)

    return [
        ("launch sample", sample, count),
        ("launch smooth", smooth, count),
        ("replay sample as a graph", lambda: backend.repeat(sample, 1), count),
    ]


def linear(place: Place) -> Prepared:
    """What the linear stage asks for, with as many sample points and as large a volume as in its last level."""
    import numpy as np

    from kernel_calls import BINS, POINTS

    backend, draw = place.backend, np.random.default_rng(0)
    shape = tuple(max(4, 2 * n // 3) for n in place.size.field)
    count = 500 if place.rehearse else POINTS
    points = backend.upload((draw.uniform(0, 1, (count, 3)) * (np.array(shape) - 1)).astype(np.float32))
    values, volume = (backend.upload(draw.uniform(2, BINS - 3, of).astype(np.float32)) for of in (count, shape))

    def information(many: int, slopes: bool) -> Call:
        matrices = np.repeat(np.eye(4)[None], many, 0)
        return lambda: backend.mutual_information(points, values, volume, matrices, BINS, slopes=slopes)

    return [
        ("mutual information, 1 map with slopes", information(1, slopes=True), 1),
        ("mutual information, 16 maps", information(16, slopes=False), 1),
        ("mutual information, 900 maps", information(2 if place.rehearse else 900, slopes=False), 1),
        ("affine moments", lambda: backend.affine_moments(points, values, volume, np.eye(4)), 1),
    ]


def pinned(place: Place) -> Prepared:
    """Memory of the host that the GPU reaches by itself."""
    import cupy
    import numpy as np

    field, number = _field(place), place.backend.zeros((1,))
    memory = [cupy.cuda.alloc_pinned_memory(array.nbytes) for array in (field, number)]
    hosts = [
        np.frombuffer(held, np.float32, array.size).reshape(array.shape)
        for held, array in zip(memory, (field, number), strict=True)
    ]
    touched = np.ones(field.shape, np.float32)

    def register() -> None:
        new = np.empty(field.shape, np.float32)
        cupy.cuda.runtime.hostRegister(new.ctypes.data, new.nbytes, 0)
        cupy.cuda.runtime.hostUnregister(new.ctypes.data)

    return [
        ("download a field to pinned memory", lambda: field.get(out=hosts[0]), 1),
        ("download a number to pinned memory", lambda: number.get(out=hosts[1]), 1),
        ("download a field by CuPy to old pages", lambda: field.get(out=touched), 1),
        ("download a field by CuPy", field.get, 1),
        ("pin and unpin a new field", register, 1),
    ]


def new_memory(place: Place) -> Prepared:
    """Memory of the device from the driver."""
    import cupy

    pool, nbytes = cupy.get_default_memory_pool(), _field(place).nbytes

    def allocate() -> None:
        pool.free_all_blocks(stream=cupy.cuda.get_current_stream())
        cupy.empty(nbytes, "u1")

    return [("allocate a field from the driver and give one back", allocate, 1)]


def nodes(place: Place) -> Prepared:
    """A kernel that does nothing, launched by CuPy and as nodes of a graph."""
    import cupy

    kernel = cupy.RawKernel('extern "C" __global__ void idle(float* a) { if (!a) a[0] = 1; }', "idle")
    number, stream = cupy.zeros(1, "f4"), cupy.cuda.get_current_stream()

    def launch(times: int) -> None:
        for _ in range(times):
            kernel((1,), (32,), (number,))

    def graph(count: int) -> Call:
        stream.begin_capture()
        launch(count)
        captured = stream.end_capture()
        return lambda: captured.launch(stream)

    launch(1)
    found: Prepared = [("launch by CuPy", lambda: launch(1000), 1000)]
    return found + [(f"node of a graph of {count}", graph(count), count) for count in (10, 130)]


ANYWHERE = (transfers, host_copies, launches, linear)
BY_CUPY = (pinned, new_memory, nodes)
"""Primitives by what they need: the interface of backends, CuPy."""
