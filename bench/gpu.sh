#!/usr/bin/env bash
# Everything worth knowing about an NVIDIA GPU in a few minutes, whatever fails: bench/gpu.sh OUT [options]; --help lists
# them. PYTHON= names the interpreter, which needs CuPy and either this project or, in WHEELS=, its wheel. DATA= names a
# folder of labelled brains, FIREANTS_PYTHON= an interpreter that has FireANTs.
python="${PYTHON:-python3}"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "gpu.sh: $python is not Python 3.11 or newer; PYTHON= names another" >&2
    exit 2
}
exec "$python" "$(dirname "${BASH_SOURCE[0]}")/gpu_run.py" "$@"
