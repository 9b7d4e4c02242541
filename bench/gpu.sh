#!/usr/bin/env bash
# Tests and benchmarks on an NVIDIA GPU: bench/gpu.sh OUT [--quick] [--dry-run]
#
# Runs every step below in order, each whatever became of those before it. Leaves in OUT a log and JSON of each step
# and summary.json; ends with 0 when every step did.
#
#   --quick     small sizes and one pair of brains: below eight minutes on a fast GPU, installation aside
#   --dry-run   print the commands and check that the files they name exist; run nothing
#
# Environment, all optional:
#   STEPS="kernels compare"   only these, of: install tests memcheck racecheck initcheck kernels registration
#                             fireants compare
#   PYTHON=python3.12         Python 3.11 or newer that makes the virtual environment
#   VENV=folder               environment to use; default: OUT/venv; made where it is missing
#   WHEELS=folder             install from the wheels in this folder (setuptools too), without a network
#   DATA=folder               sub-NN/t1_brain.nii.gz and labels.nii.gz; default: ../shared/data/oasis-trt-20
#   FIREANTS_PYTHON=path      interpreter that has FireANTs; default: OUT/venv-fireants, made by the step fireants
#   FIREANTS_FUSED=1          record that it has its fused operations, which are built apart
#   LIMIT=3600                seconds after which a step is ended

# shellcheck disable=SC2329  # steps are called by name
set -u -o pipefail
here="$PWD"
cd "$(dirname "$0")/.." || exit 1

ALL_STEPS="install tests memcheck racecheck initcheck kernels registration fireants compare"
# Every operation once, small: what the sanitizers watch. Captured graphs need the memory pool, which hides bounds.
SANITIZED="tests/backends/test_contract.py"
SANITIZED_ONLY="not test_repeat_runs"
# PyTest with each array in memory of its own, so that a step beyond its end is seen.
UNPOOLED="import cupy, pytest, sys; cupy.cuda.set_allocator(None); sys.exit(pytest.main(sys.argv[1:]))"

usage() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "bench/gpu.sh"
}

# A path as seen from where the script was called.
absolute() {
    case "$1" in /*) echo "$1" ;; *) echo "$here/$1" ;; esac
}

fail() {
    echo "gpu.sh: $1" >&2
    exit 2
}

out="" quick="" dry=""
for argument in "$@"; do
    case "$argument" in
        --quick) quick=1 ;;
        --dry-run) dry=1 ;;
        -h | --help)
            usage
            exit 0
            ;;
        -*) fail "unknown option $argument; --help lists them" ;;
        *)
            [ -z "$out" ] || fail "one folder OUT is needed, not two: $out $argument"
            out="$(absolute "$argument")"
            ;;
    esac
done
[ -n "$out" ] || fail "name a folder for the results: bench/gpu.sh OUT"

steps="${STEPS:-$ALL_STEPS}"
for step in $steps; do
    case " $ALL_STEPS " in *" $step "*) ;; *) fail "unknown step $step; choose from $ALL_STEPS" ;; esac
done

python="${PYTHON:-python3}"
venv="$(absolute "${VENV:-$out/venv}")"
data="$(absolute "${DATA:-$PWD/../shared/data/oasis-trt-20}")"
limit="${LIMIT:-3600}"
fireants="$(absolute "${FIREANTS_PYTHON:-$out/venv-fireants/bin/python}")"
pip_from=()
[ -n "${WHEELS:-}" ] && pip_from=(--no-index --find-links "$(absolute "$WHEELS")")

# Major version of CUDA that the driver offers; empty without a driver.
driver_cuda() {
    nvidia-smi -q 2>/dev/null | sed -n 's/^CUDA.*Version *: *\([0-9]*\).*/\1/p' | head -n 1
}

cuda="$(driver_cuda)"
extra="cuda12"
[ "${cuda:-0}" -ge 13 ] && extra="cuda13"

missing=0
# Whether the files that a command names are there.
need() {
    for file in "$@"; do
        if [ ! -e "$file" ]; then
            echo "missing: $file" >&2
            missing=1
        fi
    done
}

# Print a command, or run it.
run() {
    if [ -n "$dry" ]; then
        printf '   ' && printf ' %q' "$@" && echo
    else
        timeout "$limit" "$@"
    fi
}

step_install() {
    need pyproject.toml
    [ -x "$venv/bin/python" ] || run "$python" -m venv "$venv" || return
    # Of CUDA the slim install and nothing else: CuPy, cudart, nvrtc, NVML.
    run "$venv/bin/python" -m pip install --quiet "${pip_from[@]}" --editable ".[$extra,test,bench]"
}

step_tests() {
    need tests/backends/test_contract.py tests/backends/test_cuda_gpu.py
    run "$venv/bin/python" -m pytest -m gpu -q --continue-on-collection-errors
}

sanitize() {
    need "$SANITIZED"
    if [ -z "$dry" ] && ! command -v compute-sanitizer >/dev/null; then
        echo "compute-sanitizer is not on the PATH; it comes with the CUDA toolkit"
        return 3
    fi
    run compute-sanitizer --tool "$1" --error-exitcode 9 \
        "$venv/bin/python" -c "$UNPOOLED" -m gpu -q -x -p no:cacheprovider -k "$SANITIZED_ONLY" "$SANITIZED"
}

step_memcheck() { sanitize memcheck; }
step_racecheck() { sanitize racecheck; }
step_initcheck() { sanitize initcheck; }

step_kernels() {
    need bench/kernels.py
    run "$venv/bin/python" bench/kernels.py --backend cuda --json "$out/kernels.json"
}

step_registration() {
    need bench/registration.py
    local options=(--backend cuda --json "$out/registration.json")
    [ -n "$quick" ] && options+=(--sizes 2 1 --pairs "01,02")
    [ -d "$data" ] && options+=(--data "$data")
    run "$venv/bin/python" bench/registration.py "${options[@]}"
}

step_fireants() {
    if [ -n "${FIREANTS_PYTHON:-}" ]; then
        run "$fireants" -c "import fireants"
        return
    fi
    local pip=("$fireants" -m pip install --quiet "${pip_from[@]}")
    [ -x "$fireants" ] || run "$python" -m venv "$out/venv-fireants" || return
    # Its pin of SimpleITK has no wheels for Python 3.12 and newer: what it needs is named here, without that pin.
    run "${pip[@]}" torch SimpleITK nibabel scipy scikit-image pandas hydra-core matplotlib tqdm pytest psutil &&
        run "${pip[@]}" --no-deps fireants
}

step_compare() {
    need bench/compare.py bench/peer_job.py bench/peers.py
    if [ ! -d "$data" ]; then
        echo "no labelled brains in $data; name their folder with DATA="
        [ -n "$dry" ] || return 3
    fi
    local options=(--gpu --data "$data" --out "$out/compare-gpu.json" --threads "$(nproc)")
    [ -n "$quick" ] && options+=(--pairs "01,02")
    FIREANTS_PYTHON="$fireants" run "$venv/bin/python" bench/compare.py "${options[@]}"
}

if [ -n "$dry" ]; then
    echo "GPU: CUDA ${cuda:-none}, extra $extra"
    for step in $steps; do
        echo "$step:"
        "step_$step"
    done
    exit "$missing"
fi

command -v nvidia-smi >/dev/null || fail "no nvidia-smi: an NVIDIA GPU with its driver is needed"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 or newer is needed: PYTHON=..."
mkdir -p "$out"
nvidia-smi >"$out/gpu.txt" 2>&1

rows="" worst=0
for step in $steps; do
    echo "== $step" && start=$SECONDS
    "step_$step" >"$out/$step.log" 2>&1
    code=$?
    [ "$code" -eq 0 ] || worst=1
    echo "   ended with $code after $((SECONDS - start)) s; $out/$step.log" && tail -n 3 "$out/$step.log"
    rows+="${rows:+,}"$'\n'"  {\"step\": \"$step\", \"exit\": $code, \"seconds\": $((SECONDS - start))}"
    printf '[%s\n]\n' "$rows" >"$out/summary.json"
done
exit "$worst"
