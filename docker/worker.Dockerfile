# Training, explaining, and the small chores, exports among them. The torch that pip picks brings its own CUDA libraries; the host needs a driver only.
FROM python:3.11-slim AS build
RUN python -m venv /opt/tunelens
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/tunelens/bin/pip install --disable-pip-version-check --no-deps --require-hashes -r docker/worker.hashes.txt \
    && /opt/tunelens/bin/pip install --disable-pip-version-check --no-deps --no-build-isolation . \
    && /opt/tunelens/bin/pip check

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin tunelens \
    && install -d -o tunelens -g tunelens /data
COPY --from=build /opt/tunelens /opt/tunelens
# numba and matplotlib write caches; /data is the only place that is writable for long, and /data/cache is swept.
ENV PATH=/opt/tunelens/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 TUNELENS_DATA_DIR=/data TMPDIR=/data \
    NUMBA_CACHE_DIR=/data/numba MPLCONFIGDIR=/data/matplotlib
USER 10001:10001
WORKDIR /data
CMD ["python", "-m", "worker", "train"]
