# The API and the migrations: no torch in here.
FROM python:3.11.15-slim AS build
RUN python -m venv /opt/tunelens
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/tunelens/bin/pip install --disable-pip-version-check --no-deps --require-hashes -r docker/api.hashes.txt \
    && /opt/tunelens/bin/pip install --disable-pip-version-check --no-deps --no-build-isolation . \
    && /opt/tunelens/bin/pip check

FROM python:3.11.15-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin tunelens \
    && install -d -o tunelens -g tunelens /data
COPY --from=build /opt/tunelens /opt/tunelens
ENV PATH=/opt/tunelens/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 \
    TUNELENS_DATA_DIR=/data TMPDIR=/data
USER 10001:10001
# Python looks for modules where it is started: not where the account may write.
WORKDIR /opt/tunelens
CMD ["uvicorn", "service.app:from_environment", "--factory", "--host", "0.0.0.0", "--port", "8000", "--no-access-log", "--timeout-graceful-shutdown", "4"]
