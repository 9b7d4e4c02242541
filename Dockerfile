# A BIDS App on a slim Python: BIDS OUT {participant,group} [options]. The GPU needs the host's driver only.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
ARG EXTRAS=cuda12,cluster
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY kernels kernels
# Layers keep whole seconds of the dates of files, and compiled code belongs to a date: dates are made whole before.
# A few files of other packages are no Python of this version; they stay uncompiled.
RUN python -m venv /opt/warpline \
 && /opt/warpline/bin/pip install --no-cache-dir --no-compile ".[${EXTRAS}]" \
 && find /opt/warpline -name "*.py" -exec touch --date=2026-01-01 {} + \
 && { /opt/warpline/bin/python -m compileall -qq -j 0 /opt/warpline/lib || true; } \
 && NUMBA_CACHE_DIR=/opt/warpline/compiled WARPLINE_BACKEND=numba /opt/warpline/bin/warpline doctor

FROM python:${PYTHON}-slim
RUN useradd --create-home --uid 1000 warpline
COPY --from=build /opt/warpline /opt/warpline

# Caches lie under a scratch folder that any user may write: homes in containers are often read-only.
ENV PATH=/opt/warpline/bin:$PATH \
    TMPDIR=/scratch \
    NUMBA_CACHE_DIR=/scratch/numba \
    WARPLINE_COMPILED=/opt/warpline/compiled \
    CUPY_CACHE_DIR=/scratch/cupy \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PYTHONUNBUFFERED=1
RUN mkdir --mode=1777 /scratch
VOLUME /scratch
USER warpline
WORKDIR /scratch
ENTRYPOINT ["warpline", "cohort", "run"]
CMD ["--help"]
