#!/usr/bin/env bash
# Everything worth knowing about an NVIDIA GPU in a few minutes, whatever fails: bench/gpu.sh OUT [options]; --help lists
# them. PYTHON= names the interpreter, which needs CuPy and either this project or, in WHEELS=, its wheel. DATA= names a
# folder of labelled brains, FIREANTS_PYTHON= an interpreter that has FireANTs.
exec "${PYTHON:-python3}" "$(dirname "${BASH_SOURCE[0]}")/gpu_run.py" "$@"
