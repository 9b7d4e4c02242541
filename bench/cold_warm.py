"""Every operation of the CPU backend, compiled against loaded: the bits must be the same. About a minute of CPU time.

python bench/cold_warm.py
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

TESTS = Path(__file__).parents[1] / "tests"


def bits() -> dict[str, list[str]]:
    """A digest of every array that every operation returns, on this process's numba."""
    from warpline.backends import select

    backend = select("numba", 2)
    operations = _operations()
    return {name: [_digest(array) for array in operations.results(name, backend)] for name in operations.OPERATIONS}


def compare() -> dict[str, Any]:
    """Run `bits` in two processes with one cache, which is empty for the first."""
    found, seconds = [], []
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        for _ in range(2):
            start = time.perf_counter()
            run = subprocess.run([sys.executable, __file__, "--bits"], env=environment, capture_output=True, check=True)
            seconds.append(round(time.perf_counter() - start, 1))
            found.append(json.loads(run.stdout))
    cold, warm = found
    different = [name for name in cold if cold[name] != warm[name]]
    return {"operations": len(cold), "different": different, "cold_s": seconds[0], "warm_s": seconds[1]}


def _operations() -> Any:
    sys.path.insert(0, str(TESTS))
    spec = importlib.util.spec_from_file_location("operations", TESTS / "backends" / "operations.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _digest(array: Any) -> str:
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=8).hexdigest()


if __name__ == "__main__":
    if sys.argv[1:] == ["--bits"]:
        print(json.dumps(bits()))
    else:
        result = compare()
        print(json.dumps(result, indent=2))
        sys.exit(bool(result["different"]))
