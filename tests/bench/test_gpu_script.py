"""bench/gpu.sh without a GPU: rehearsed whole, steps that fail, results of other programs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from importlib.metadata import distribution
from pathlib import Path
from unittest.mock import ANY

import pytest
from packaging.requirements import Requirement

import cases
import gpu_run
import gpu_tools
from cuda_on_cpu import emulated
from gpu_place import Place
from gpu_run import Planned
from gpu_steps import HOW, STEPS
from warpline import write_image
from warpline.backends import select
from warpline.backends.cuda_device import GpuRuntime

SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "gpu.sh"
NEED_WHAT_IS_NOT_HERE = {"gpu_tests", "contract"}

# Stand-ins for NVIDIA's programs: each runs the command that it is given.
NCU = """
import subprocess, sys
at = sys.argv.index("--log-file")
open(sys.argv[at + 1], "w").write('''==PROF== Connected
"ID","Kernel Name","Block Size","Grid Size","Metric Name","Metric Unit","Metric Value"
"0","warp","(32, 8, 1)","(5, 24, 150)","Duration","ns","46,496"
"0","warp","(32, 8, 1)","(5, 24, 150)","DRAM Throughput","%","54.15"
"1","smooth","(32, 8, 1)","(5, 10, 5)","Duration","us","61.5"
"1","smooth","(32, 8, 1)","(5, 10, 5)","Registers Per Thread","register/thread","124"
"1","smooth","(32, 8, 1)","(5, 10, 5)","Waves Per SM","","no data"
''')
sys.exit(subprocess.run(sys.argv[at + 2:]).returncode)
"""
SANITIZER = """
import subprocess, sys
code = subprocess.run(sys.argv[sys.argv.index("--print-limit") + 2:]).returncode
print("========= Invalid __global__ read of size 4 bytes")
print("========= ERROR SUMMARY: %d errors" % (sys.argv[2] == "memcheck"))
sys.exit(code)
"""
# An interpreter that has FireANTs, which finds that nothing need move.
FIREANTS = """
import json, sys
if sys.argv[1] == "-c":
    sys.exit(0)
import numpy as np
from warpline import read_image, write_transform
from warpline.space import Affine, Displacement
job = json.load(open(sys.argv[3]))
grid = read_image(job["fixed"]["image"]).grid
write_transform(Affine.identity(), job["work"] + "/reg_0GenericAffine.mat")
write_transform(Displacement(np.zeros((3, *grid.shape), "f4"), grid), job["work"] + "/reg_1Warp.nii.gz")
sys.exit("no memory") if "syn" in job["tool"] else json.dump({"affine": 2.5}, open(job["work"] + "/register.json", "w"))
"""

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the script is for Linux, and bash is not here")


def gpu_sh(*arguments, **variables):
    unset = ("PYTHON", "WHEELS", "DATA", "FIREANTS_PYTHON", "PYTHONPATH")
    environment = {k: v for k, v in os.environ.items() if k not in unset} | {"PYTHON": sys.executable} | variables
    command = ["bash", str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=450, check=False)


def program(folder, name, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!{sys.executable}\n{text}")
    (folder / name).chmod(0o755)
    return folder


def rows_of(out, step=None):
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    return [row for row in rows if step in (None, row["step"])]


def exits(out):
    return {row["step"]: row["exit"] for row in rows_of(out) if "seconds" in row and "exit" in row}


def test_an_interpreter_that_is_too_old_is_refused(tmp_path):
    program(tmp_path, "python", "import sys; sys.exit(1)")
    result = gpu_sh("out", PYTHON=str(tmp_path / "python"))
    assert result.returncode == 2
    assert "not Python 3.11 or newer" in result.stderr


def test_it_is_well_formed_and_explains_itself():
    assert subprocess.run(["bash", "-n", str(SCRIPT)], check=False).returncode == 0
    assert os.access(SCRIPT, os.X_OK)
    result = gpu_sh("--help")
    assert result.returncode == 0
    assert ", ".join(STEPS) in result.stdout
    assert "FIREANTS_PYTHON" in result.stdout


def interpreter(folder):
    """A Python that finds what warpline itself needs and nothing else: no warpline, no pip, nothing of an extra."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for dist in needed("warpline"):
        for top in {file.parts[0] for file in dist.files or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(dist.locate_file(top))
    return folder / "bin" / "python"


def needed(name):
    """The distributions that one needs without its extras, itself not among them."""
    found, left = {}, [name]
    while left:
        for line in distribution(left.pop()).requires or ():
            wanted = Requirement(line)
            if wanted.name not in found and (wanted.marker is None or wanted.marker.evaluate({"extra": ""})):
                found[wanted.name] = distribution(wanted.name)
                left.append(wanted.name)
    return found.values()


def wheels(folder):
    """A folder with the project's wheel, made of a copy so that building leaves nothing behind here."""
    for part in ("pyproject.toml", "README.md", "LICENSE", "src", "kernels"):
        source, to = SCRIPT.parents[1] / part, folder / "project" / part
        to.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, to)
    offline = ("--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check", "--quiet")
    made = ["wheel", *offline, "--wheel-dir", folder / "wheels", folder / "project"]
    subprocess.run([sys.executable, "-m", "pip", *map(str, made)], check=True)
    return folder / "wheels"


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory):
    """Everything, from the wheel, by an interpreter without the extras, with programs of NVIDIA's that do nothing."""
    if not emulated.available():
        pytest.skip(f"no C++ compiler called {emulated.COMPILER}; CXX names another one")
    folder = tmp_path_factory.mktemp("rehearsal")
    tools = program(folder / "tools", "ncu", NCU)
    program(tools, "compute-sanitizer", SANITIZER)
    out = folder / "out"
    other = program(folder / "other", "python", FIREANTS) / "python"
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    given = {"PYTHON": str(interpreter(folder / "env")), "WHEELS": str(wheels(folder)), "DATA": str(brains(folder))}
    result = gpu_sh(out, "--rehearse", PATH=path, FIREANTS_PYTHON=str(other), **given)
    return result, out


def brains(folder):
    """Two subjects as `DATA` has them."""
    case = cases.phantom("8", select("numpy"))
    for number, side in (("07", "fixed"), ("11", "moving")):
        subject = folder / "data" / f"sub-{number}"
        subject.mkdir(parents=True)
        write_image(getattr(case, side), subject / "t1_brain.nii.gz")
        write_image(getattr(case, f"{side}_labels"), subject / "labels.nii.gz")
    return folder / "data"


def test_a_rehearsal_runs_every_step(rehearsal):
    result, out = rehearsal
    ended = exits(out)
    assert set(ended) == set(STEPS) - {"eager"}, result.stderr
    assert {step for step, code in ended.items() if code == 3} == NEED_WHAT_IS_NOT_HERE
    assert {step for step, code in ended.items() if code not in (0, 3)} == {"sanitizers", "fireants"}, (
        out / "log.txt"
    ).read_text()
    assert result.returncode == 1
    assert sorted(path.name for path in out.iterdir()) == ["counters.csv", "log.txt", "profile.txt", "results.jsonl"]


def test_a_rehearsal_measures_what_it_should(rehearsal):
    _, out = rehearsal
    (headline,) = [row for row in rows_of(out, "headline") if "walls" in row]
    assert headline["case"] == "brains 07,11"
    assert headline["same_bits"] is True
    assert headline["dice"] > headline["dice_before"]
    assert len(headline["walls"]) == 2
    assert all(row["worst"] <= 1e-5 * row["scale"] for row in rows_of(out, "smoke") if "operation" in row)
    profile = rows_of(out, "profile")
    assert [row["memory_kept"] for row in profile if "memory_kept" in row] == [True, False]
    costs = {row["cost"]: row["ms"] for row in rows_of(out, "costs") if "cost" in row}
    assert {"download a field", "launch smooth", "affine moments"} <= set(costs)
    assert "was called by" in (out / "profile.txt").read_text()
    kernels = [row for row in rows_of(out, "kernels") if "operation" in row]
    assert "smooth field 1.5, two at once" in {row["operation"] for row in kernels}
    assert all(row["median_s"] > 0 for row in kernels)
    beside = [row for row in rows_of(out, "interpolation") if "operation" in row]
    assert {row["library"] for row in beside} == {"warpline", "scipy.ndimage"}
    assert [row["lost"] for row in rows_of(out, "interpolation") if "lost" in row] == [0]
    assert [row["onto"] for row in rows_of(out, "interpolation") if "s_per_volume" in row] == [[8, 9, 10]]
    assert [row["shape"] for row in rows_of(out, "iterations") if "shape" in row][-1] == [8, 9, 10]
    assert [row["same_bits"] for row in rows_of(out, "at_once") if "at_once" in row] == [True]
    (tensors,) = [row for row in rows_of(out, "tensors") if "library" in row]
    assert (tensors["device"], tensors["library"]) == ([2, 0], "pretended")
    assert tensors["uncopied"] and tensors["same_bits"] and tensors["unchanged"]
    assert rows_of(out, "contract") == [{"step": "contract", "skipped": ANY}, ANY]
    assert "pytest and hypothesis" in rows_of(out, "contract")[0]["skipped"]
    assert rows_of(out, "sizes")[0]["dice"] > 0


def test_a_rehearsal_runs_what_is_in_the_wheel(rehearsal):
    _, out = rehearsal
    assert [row for row in rows_of(out, "wheels") if "error" in row] == []
    packages = rows_of(out, "builds")[0]["packages"]
    (wheel,) = (out.parent / "wheels").glob("warpline-*.whl")
    assert packages["warpline"].startswith(wheel.name.split("-")[1])


def test_the_contract_is_tested_where_pytest_is(tmp_path):
    if not emulated.available():
        pytest.skip(f"no C++ compiler called {emulated.COMPILER}; CXX names another one")
    assert gpu_sh(tmp_path, "--rehearse", "--steps", "contract").returncode == 0
    assert rows_of(tmp_path, "contract")[0]["passed"] > 0


def test_counters_are_a_row_per_kernel(rehearsal):
    _, out = rehearsal
    first, second = (row for row in rows_of(out, "counters") if "kernel" in row)
    assert (first["kernel"], first["us"], first["dram_percent"]) == ("warp", pytest.approx(46.496), 54.15)
    assert (second["us"], second["registers"], second["waves"]) == (61.5, 124, None)


def test_sanitizers_tell_what_they_found_by_tool(rehearsal):
    _, out = rehearsal
    found = {row["tool"]: row for row in rows_of(out, "sanitizers") if "tool" in row}
    assert {tool: row["errors"] for tool, row in found.items()} == {"memcheck": 1, "racecheck": 0, "initcheck": 0}
    assert all(row["unfinished"] == [] and row["operations"] == 2 for row in found.values())
    assert "Invalid __global__ read" in found["memcheck"]["first"]


def test_fireants_is_judged_by_the_field_that_it_saved(rehearsal):
    _, out = rehearsal
    greedy, syn = (row for row in rows_of(out, "fireants") if "tool" in row)
    (headline,) = [row for row in rows_of(out, "headline") if "walls" in row]
    assert greedy["dice"] == pytest.approx(headline["dice_before"], abs=0.01)
    assert greedy["seconds"] == {"affine": 2.5}
    assert greedy["settings"]["method"] == "Greedy"
    assert "no memory" in syn["error"]


def test_an_operation_that_ends_its_process_costs_only_itself():
    def run(names):
        return "".join(f"{gpu_tools.DID}{name}\n" for name in names[: names.index("b") if "b" in names else None])

    said, unfinished = gpu_tools.over_all(["a", "b", "c", "d"], run)
    assert unfinished == ["b"]
    assert said.count(gpu_tools.DID) == 3


def test_a_sanitizer_that_cannot_run_is_started_once():
    runs = []
    _, unfinished = gpu_tools.over_all(list("abcdef"), lambda names: runs.append(names) or "no driver\n")
    assert unfinished == list("abcdef")
    assert len(runs) == gpu_tools.VAIN


# -- made steps -------------------------------------------------------------------------------------------------------


def made(name, code, limit=30.0, unless=""):
    return Planned(name, [sys.executable, "-c", code], limit, unless)


CRASHES = "import os, signal; print('before', flush=True); os.kill(os.getpid(), signal.SIGSEGV)"
HANGS = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(1000)'])"
OUT_OF_MEMORY = "raise MemoryError('no room')"


def test_a_step_that_crashes_or_hangs_costs_only_itself(tmp_path):
    steps = [made("crashes", CRASHES), made("hangs", HANGS, 1.0), made("full", OUT_OF_MEMORY), made("last", "print(7)")]
    steps.insert(2, Planned("absent", [str(tmp_path / "no program")], 1.0))
    found = gpu_run.run_steps(steps, tmp_path, time.monotonic() + 60, dict(os.environ))
    assert found == {"crashes": -11, "hangs": 124, "absent": 127, "full": 1, "last": 0}
    rows = {row["step"]: row for row in rows_of(tmp_path)}
    assert rows["crashes"]["ended"] == "by signal SIGSEGV"
    assert rows["hangs"]["ended"] == "after its limit of 1 s"
    assert exits(tmp_path) == found
    said = (tmp_path / "log.txt").read_text()
    assert "before" in said
    assert "MemoryError: no room" in said


def test_nothing_that_a_step_started_outlives_it(tmp_path):
    starts = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid)"
    _, said = gpu_run.run_step(made("starts", starts), 30.0, dict(os.environ))
    ends = time.monotonic() + 10
    while _runs(int(said)) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not _runs(int(said))


def _runs(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(("code", "ran"), [("pass", False), ("raise SystemExit(1)", True)])
def test_a_remedy_runs_only_when_what_it_is_for_failed(tmp_path, code, ran):
    found = gpu_run.run_steps(
        [made("first", code), made("remedy", "pass", unless="first")], tmp_path, time.monotonic() + 60, dict(os.environ)
    )
    assert ("remedy" in found) is ran


def test_what_there_is_no_time_for_is_said_by_name(tmp_path):
    steps = [made("slow", "import time; time.sleep(2)"), made("late", "pass")]
    found = gpu_run.run_steps(steps, tmp_path, time.monotonic() + gpu_run.LEAST + 1, dict(os.environ))
    assert found == {"slow": 0}
    assert "no time is left" in rows_of(tmp_path, "late")[0]["skipped"]


def test_a_wheel_that_does_not_fit_stops_no_other_wheel(tmp_path):
    wheels, out = tmp_path / "wheels", tmp_path / "out"
    wheels.mkdir()
    out.mkdir()
    (wheels / "broken-1.0-py3-none-any.whl").write_text("no archive")
    make_wheel(wheels)
    gpu_run.install(wheels, tmp_path / "site", out)
    assert (tmp_path / "site" / "whole.py").read_text() == "VALUE = 7\n"
    assert [row["wheel"] for row in rows_of(out)] == ["broken-1.0-py3-none-any.whl"]


def make_wheel(folder):
    import zipfile

    about = {"METADATA": "Metadata-Version: 2.1\nName: whole\nVersion: 1.0\n", "RECORD": ""}
    about["WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(folder / "whole-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("whole.py", "VALUE = 7\n")
        for name, text in about.items():
            archive.writestr(f"whole-1.0.dist-info/{name}", text)


def test_the_order_is_that_of_the_table_and_steps_can_be_picked():
    place = Place(Path("out"), Path("work"))
    steps = gpu_run.planned(["sizes", "smoke"], place.command)
    assert [step.name for step in steps] == ["smoke", "sizes"]
    assert steps[0].command[-2:] == ["--", "smoke"]


def test_an_iteration_may_run_without_graphs():
    place, done = Place(Path("out"), Path("work"), rehearse=True), []
    eager = place.runtime(**HOW["eager"])
    eager.capture(lambda: done.append(3))()
    assert done == [3]
    assert set(HOW["eager"]) <= set(dir(GpuRuntime))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "OUT"),
        (("out", "--fast"), "--fast"),
        (("out", "--steps", "kernels dance"), "unknown dance; choose from builds"),
        (("out", "--data", "/no/such/folder"), "--data: no folder /no/such/folder"),
    ],
)
def test_wrong_use_is_explained(arguments, message):
    result = gpu_sh(*arguments)
    assert result.returncode == 2
    assert message in result.stderr
