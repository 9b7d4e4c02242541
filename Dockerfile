# A BIDS App on a slim Python: BIDS OUT {participant,group} [options]. The GPU needs the host's driver only.
# `make container` hands on the version. `make pin-container` renews the digest of the base image, asked of its registry;
# container.lock has the packages' hashes.
ARG BASE=python:3.12-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254

FROM ${BASE} AS build
ARG VERSION
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY kernels kernels
COPY release/install.sh release/container.lock release/
RUN sh release/install.sh /opt/warpline ${VERSION}

FROM ${BASE}
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
