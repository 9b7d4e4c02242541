#!/bin/sh
# Installs warpline and all it needs, at the versions and hashes of container.lock, into a folder of a container image.
# Run where the sources lie: release/install.sh FOLDER VERSION. Images have no history of commits to tell a version from.
set -eu
home=$1
export SETUPTOOLS_SCM_PRETEND_VERSION_FOR_WARPLINE="${2:?give the version: --build-arg VERSION=\$(python -m setuptools_scm)}"
python -m venv "$home"
"$home/bin/pip" install --no-cache-dir --no-compile --require-hashes --requirement release/container.lock
"$home/bin/pip" install --no-cache-dir --no-compile --no-deps --no-build-isolation .
# Layers keep whole seconds of the dates of files, and compiled code belongs to a date: dates are made whole before.
# A few files of other packages are no Python of this version; they stay uncompiled.
find "$home" -name "*.py" -exec touch --date=2026-01-01 {} +
"$home/bin/python" -m compileall -qq -j 0 "$home/lib" || true
NUMBA_CACHE_DIR="$home/compiled" WARPLINE_BACKEND=numba "$home/bin/warpline" doctor
