# A BIDS App on a slim Python: BIDS OUT {participant,group} [options]. The GPU needs the host's driver only.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
ARG EXTRAS=cuda12,cluster
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY kernels kernels
RUN python -m venv /opt/warpline \
 && /opt/warpline/bin/pip install --no-cache-dir ".[${EXTRAS}]" \
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
