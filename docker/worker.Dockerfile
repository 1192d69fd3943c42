# Training, explaining, and the small chores, exports among them. The torch that pip picks brings its own CUDA libraries; the host needs a driver only.
FROM python:3.11.15-slim AS build
RUN python -m venv /opt/tunelens
WORKDIR /src
COPY . .
# torch wants NCCL for CUDA 13, xgboost that for CUDA 12, and both packages are the same files: the one that comes last
# would stay. docker/worker.hashes.txt has torch's alone (see `make hashes`). xgboost opens NCCL when it trains over
# several machines, which nothing here does; that it misses its own is all that may be wrong.
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/tunelens/bin/pip install --disable-pip-version-check --no-deps --require-hashes -r docker/worker.hashes.txt \
    && /opt/tunelens/bin/pip install --disable-pip-version-check --no-deps --no-build-isolation . \
    && case "$(/opt/tunelens/bin/pip check)" in \
         "xgboost "?.?.?" requires nvidia-nccl-cu12, which is not installed.") ;; \
         *) /opt/tunelens/bin/pip check; exit 1 ;; \
       esac

FROM python:3.11.15-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin tunelens \
    && install -d -o tunelens -g tunelens /data
COPY --from=build /opt/tunelens /opt/tunelens
# numba and matplotlib write caches; /data is the only place that is writable for long, and /data/cache is swept.
ENV PATH=/opt/tunelens/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 \
    TUNELENS_DATA_DIR=/data TMPDIR=/data \
    NUMBA_CACHE_DIR=/data/numba MPLCONFIGDIR=/data/matplotlib
USER 10001:10001
# Python looks for modules where it is started: not where the account may write.
WORKDIR /opt/tunelens
CMD ["python", "-m", "worker", "train"]
