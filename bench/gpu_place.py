"""Where a step of `gpu_steps.py` runs: its folders, its backend, its pair of images, and how much is measured."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cases import Case
    from device import Device
    from warpline.backends import Backend
    from warpline.recipe import Recipe

Shape = tuple[int, int, int]


class MissingError(Exception):
    """What a step needs is not on this machine."""


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes
    ----------
    settings : sequence of str
        Of the recipe, as on the command line.
    phantom : str
        The pair where there are no brains, as `cases.phantom` takes it.
    registrations, profiled : int
        Of the pair: in all; of each way in which memory is kept.
    shape, field : (I, J, K)
        Of single operations, and of a field that is downloaded.
    repeats, iterations : int
        Of each timed operation; of SyN at each level.
    volumes : int
        Of a series that is resampled.
    timed : str
        Only the operations are timed whose name contains this.
    builds, operations : int or None
        First of the kernels' builds, and of the operations that are called once; None: all.
    threads : sequence of int
        Registrations at once.
    phantoms : sequence of str
        Of the scaling run.
    tests : sequence of str
        Options of pytest.
    """

    settings: tuple[str, ...] = ()
    phantom: str = "1"
    registrations: int = 5
    profiled: int = 3
    shape: Shape = (150, 190, 155)
    field: Shape = (197, 151, 158)
    repeats: int = 15
    iterations: int = 100
    volumes: int = 40
    timed: str = ""
    builds: int | None = None
    operations: int | None = None
    threads: tuple[int, ...] = (1, 2, 4, 8)
    phantoms: tuple[str, ...] = ("2", "1", "0.7", "0.5", "512^3")
    tests: tuple[str, ...] = ("-m", "gpu")


REHEARSED = Size(
    settings=(
        "initialise.rotations=false",
        "linear.refinements=0",
        "linear.samples=1000",
        "linear.iterations=[2,1,1]",
        "syn.iterations=[2,1,1]",
    ),
    phantom="12",
    registrations=2,
    profiled=1,
    shape=(8, 9, 10),
    field=(4, 5, 6),
    repeats=1,
    iterations=1,
    volumes=2,
    timed="field",
    builds=3,
    operations=2,
    threads=(2,),
    phantoms=("12",),
    tests=("-k", "cuda-on-cpu and compose"),
)
"""Little enough for kernels that are run on the CPU."""


@dataclass(frozen=True)
class Place:
    """What every step is given.

    Attributes
    ----------
    out, work : Path
        Folder of the results; folder that is thrown away.
    data : Path or None
        Folder of labelled brains.
    rehearse : bool
        Little work, and kernels run on the CPU.
    """

    out: Path
    work: Path
    data: Path | None = None
    rehearse: bool = False

    @property
    def size(self) -> Size:
        """How much is measured."""
        return REHEARSED if self.rehearse else Size()

    def command(self, step: str, *arguments: str) -> list[str]:
        """A process of its own for a step, or for a part of one."""
        options = ["--out", str(self.out), "--work", str(self.work)]
        options += ["--data", str(self.data)] if self.data else []
        options += ["--rehearse"] if self.rehearse else []
        return [sys.executable, str(Path(__file__).with_name("gpu_steps.py")), *options, "--", step, *arguments]

    def tell(self, **row: Any) -> None:
        """Add a line to the results."""
        line = json.dumps(row, default=_plain)
        print(line[:400], flush=True)
        with (self.out / "results.jsonl").open("a") as file:
            file.write(line + "\n")

    # -- what is measured -----------------------------------------------------------------------------------

    def runtime(self, **methods: Callable[..., Any]) -> Any:
        """The GPU, or the CPU in its place, with some methods replaced."""
        if self.rehearse:
            kind = importlib.import_module("cuda_on_cpu.emulated").EmulatedRuntime
            return type("Runtime", (kind,), methods)()
        kind = importlib.import_module("warpline.backends.cuda_device").GpuRuntime
        return type("Runtime", (kind,), methods).open("")

    @cached_property
    def backend(self) -> Backend:
        """The GPU backend."""
        return self.backend_on(self.runtime())

    def backend_on(self, runtime: Any) -> Backend:
        """The GPU backend on a runtime."""
        from warpline.backends import thread_count

        kind = importlib.import_module("warpline.backends.cuda_backend").CudaBackend
        backend: Backend = kind(runtime, thread_count())
        return backend

    @cached_property
    def device(self) -> Device:
        """What measures it."""
        import device

        return device.Rehearsed(self.backend) if self.rehearse else device.device_of(self.backend)

    @property
    def recipe(self) -> Recipe:
        """The default recipe, shorter in a rehearsal."""
        from warpline.recipe import Recipe

        return Recipe.load("syn").with_options(*self.size.settings)

    @cached_property
    def pair(self) -> Case:
        """The labelled pair: two brains, or the phantom where there are none. Made once, then read from files."""
        import cases
        from warpline.backends import select

        folder = self.work / "pair"
        if not folder.exists():
            if self.data:
                made = cases.real(self.data, _first_pair(self.data), self.work)
                if self.rehearse:
                    made = cases.resampled(made, cases.shape_of(self.size.phantom), select("numpy"))
            else:
                made = cases.phantom(self.size.phantom, select("numpy"))
            cases.keep(made, folder.with_name("unfinished"))
            folder.with_name("unfinished").rename(folder)
        return cases.kept(folder)


def _first_pair(data: Path) -> str:
    """The first two subjects of a folder."""
    subjects = sorted(folder.name.removeprefix("sub-") for folder in data.glob("sub-*"))
    if len(subjects) < 2:
        raise MissingError(f"two labelled brains, sub-NN/t1_brain.nii.gz and labels.nii.gz: {data} has {len(subjects)}")
    return ",".join(subjects[:2])


def _plain(value: Any) -> Any:
    """Numbers of NumPy as those of JSON."""
    return value.item() if hasattr(value, "item") else str(value)
