# docker build -t ifrud:0.1.0 .                                       # torch for CPUs
# docker build -t ifrud:0.1.0-cuda --build-arg TORCH=cuda .           # torch for GPUs, which is far larger
# docker build --target sbom --output . .                             # ifrud.cdx.json: all Python packages of the image
#
# A build that can be repeated names its base by digest, and says what it is made of:
#   --build-arg PYTHON_DIGEST=sha256:… --build-arg REVISION="$(git rev-parse HEAD)" \
#   --build-arg SOURCE="$(git remote get-url origin)" --build-arg CREATED="$(date -u +%Y-%m-%dT%H:%M:%SZ)"

ARG PYTHON_VERSION=3.11
# Of python:…-slim-bookworm. Empty: what the tag means today.
ARG PYTHON_DIGEST

FROM python:${PYTHON_VERSION}-slim-bookworm${PYTHON_DIGEST:+@${PYTHON_DIGEST}} AS build
# Which build of torch: cpu or cuda. Where it comes from, if not from pytorch.org or PyPI, and where everything else does.
ARG TORCH=cpu
ARG TORCH_INDEX
ARG PIP_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/ifru
ENV PATH=/opt/ifru/bin:$PATH
WORKDIR /src
COPY constraints.txt ./
# Torch alone: its index has not all of the other pinned versions, and the layer outlives changes of our code.
RUN case "${TORCH}" in \
        cpu) index="${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}" ;; \
        cuda) index="${TORCH_INDEX}" ;; \
        *) echo "TORCH is ${TORCH}; allowed are cpu and cuda" >&2; exit 2 ;; \
    esac \
    && pip install ${index:+--index-url "${index}"} --no-deps --constraint constraints.txt torch
COPY pyproject.toml README.md LICENSE ./
COPY ifru ifru
COPY daemon daemon
COPY demo demo
RUN pip install --constraint constraints.txt .

FROM build AS listed
ARG CYCLONEDX_VERSION=7.5.0
RUN python -m venv /opt/cyclonedx \
    && /opt/cyclonedx/bin/pip install "cyclonedx-bom==${CYCLONEDX_VERSION}" \
    && /opt/cyclonedx/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
        --output-format JSON --output-file /ifrud.cdx.json /opt/ifru/bin/python

FROM scratch AS sbom
COPY --from=listed /ifrud.cdx.json /

FROM python:${PYTHON_VERSION}-slim-bookworm${PYTHON_DIGEST:+@${PYTHON_DIGEST}}
# The compiled loops run their threads on GNU OpenMP, which the slim image lacks; tini is process 1, which reaps children
# and has the default actions of signals. Debian removes the versions that it replaces, so none are named here.
# hadolint ignore=DL3008
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
ARG PYTHON_VERSION
ARG PYTHON_DIGEST
ARG VERSION=0.1.0
ARG REVISION
ARG SOURCE
ARG CREATED
LABEL org.opencontainers.image.title="ifrud" \
      org.opencontainers.image.description="Streaming unlearning daemon for recommender models" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="docker.io/library/python:${PYTHON_VERSION}-slim-bookworm" \
      org.opencontainers.image.base.digest="${PYTHON_DIGEST}"
