# docker build -t ifrud .                                  # torch for GPUs
# docker build -t ifrud --build-arg TORCH_INDEX=URL .      # another build of torch, from an index that pytorch.org names;
#                                                          # the one for the CPU makes a far smaller image

ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim-bookworm AS build
# Which build of torch, and where everything else comes from.
ARG TORCH_INDEX
ARG PIP_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/ifru
ENV PATH=/opt/ifru/bin:$PATH
WORKDIR /src
COPY constraints.txt ./
# Torch alone: its index has not all of the other pinned versions, and the layer outlives changes of our code.
RUN pip install ${TORCH_INDEX:+--index-url "${TORCH_INDEX}"} --no-deps --constraint constraints.txt torch
COPY pyproject.toml README.md LICENSE ./
COPY ifru ifru
COPY daemon daemon
COPY demo demo
RUN pip install --constraint constraints.txt .

FROM python:${PYTHON_VERSION}-slim-bookworm
LABEL org.opencontainers.image.title="ifrud" \
      org.opencontainers.image.description="Streaming unlearning daemon for recommender models" \
      org.opencontainers.image.licenses="Apache-2.0"
# The compiled loops run their threads on GNU OpenMP, which the slim image lacks; tini is process 1, which reaps children
# and has the default actions of signals.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 ifrud \
    && useradd --uid 10001 --gid ifrud --no-create-home --home-dir /var/cache/ifrud --shell /usr/sbin/nologin ifrud \
    && install --directory --owner=ifrud --group=ifrud /var/cache/ifrud
COPY --from=build /opt/ifru /opt/ifru
# Loops are compiled for a kind of processor, here one that x86 servers of the last ten years include. For others name
# another, as LLVM does: --build-arg CPU_NAME=generic --build-arg CPU_FEATURES= suits all of the builder's architecture.
ARG CPU_NAME=x86-64-v3
ARG CPU_FEATURES=+avx,+avx2,+bmi,+bmi2,+cx16,+f16c,+fma,+lzcnt,+movbe,+popcnt,+sahf,+sse4.2,+xsave
# The volume is the only place that is written to: the root file system may be read-only.
ENV PATH=/opt/ifru/bin:$PATH \
    NUMBA_CPU_NAME=$CPU_NAME \
    NUMBA_CPU_FEATURES=$CPU_FEATURES \
    NUMBA_CACHE_DIR=/var/cache/ifrud/numba \
    IFRU_COMPILED=/opt/ifru/compiled \
    PYTHONFAULTHANDLER=1
RUN NUMBA_CACHE_DIR=$IFRU_COMPILED ifru compile
VOLUME /var/cache/ifrud
USER 10001:10001
EXPOSE 9377
HEALTHCHECK --start-period=60s --interval=15s --timeout=5s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('IFRUD_ADMIN__PORT', '9377') + '/healthz', timeout=4)"]
ENTRYPOINT ["tini", "--", "ifrud"]
CMD ["run"]
