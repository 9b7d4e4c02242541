"""The step `tensors` of `gpu.sh`: a pair given as arrays of other libraries on the GPU, against images of the host."""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from gpu_place import MissingError, Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from warpline.backends import Backend


class Library(NamedTuple):
    """How a library makes an array on the GPU of one on the host, and where it finds a result: address and values."""

    made: Callable[[NDArray[Any]], Any]
    found: Callable[[Any], tuple[int, NDArray[Any]]]


def tensors(place: Place) -> int:
    """The pair as arrays on the GPU: whether results stay there, uncopied, with the bits of those of host images."""
    import numpy as np

    from warpline import register

    pair, failed = place.pair, 0
    with _libraries(place) as (backend, libraries):
        on_host = register(pair.fixed, pair.moving, place.recipe, backend=backend)
        for name, library in libraries:
            given = [(library.made(image.data), image.affine) for image in (pair.fixed, pair.moving)]
            start = time.perf_counter()
            found = register(*given, place.recipe, backend=backend)
            wall = round(time.perf_counter() - start, 4)
            address, values = library.found(found.warped)
            row = {
                "device": found.warped.__dlpack_device__(),
                "uncopied": address == found.warped.on_gpu.array.data.ptr,
                "same_bits": np.array_equal(values, on_host.warped.data)
                and np.array_equal(found.alignment.warp.field, on_host.alignment.warp.field),
                "unchanged": np.array_equal(library.found(given[1][0])[1], pair.moving.data),
            }
            place.tell(step="tensors", library=name, wall=wall, **row)
            failed += row["device"] != (2, backend.ordinal) or not all(row[key] for key in row if key != "device")
    return failed


@contextmanager
def _libraries(place: Place) -> Iterator[tuple[Backend, list[tuple[str, Library]]]]:
    """A backend, and the libraries that make arrays for it; in a rehearsal what only pretends to be one."""
    if place.rehearse:
        pretended = importlib.import_module("cuda_on_cpu.pretended")
        with pretended.two_gpus():
            runtime = importlib.import_module("warpline.backends.cuda_device").GpuRuntime(0)
            yield place.backend_on(runtime), [("pretended", _pretended(pretended.Tensor))]
        return
    known = {"cupy": _cupy, "torch": _torch}
    libraries = [(name, make()) for name, make in known.items() if importlib.util.find_spec(name) is not None]
    if not libraries:
        raise MissingError("CuPy or PyTorch")
    yield place.backend, libraries


def _cupy() -> Library:
    cupy = importlib.import_module("cupy")
    return Library(cupy.asarray, lambda array: (cupy.asarray(array).data.ptr, cupy.from_dlpack(array).get()))


def _torch() -> Library:
    torch = importlib.import_module("torch")

    def found(array: Any) -> tuple[int, NDArray[Any]]:
        tensor = torch.from_dlpack(array)
        return tensor.data_ptr(), tensor.cpu().numpy()

    return Library(lambda array: torch.from_numpy(array).to("cuda"), found)


def _pretended(tensor: Callable[..., Any]) -> Library:
    def found(array: Any) -> tuple[int, NDArray[Any]]:
        held = array.__dlpack__().held
        return held.ctypes.data, held

    return Library(tensor, found)
