# MinIO with a folder that its account may write to; nothing in it runs as root.
FROM python:3.11-slim AS folder
RUN install -d -o 10001 -g 10001 /artifacts

FROM minio/minio:RELEASE.2025-09-07T16-13-09Z
COPY --from=folder --chown=10001:10001 /artifacts /artifacts
USER 10001:10001
ENV HOME=/tmp
CMD ["server", "/artifacts", "--address", ":9000"]
