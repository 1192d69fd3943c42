# MinIO with a folder that its account may write to; nothing in it runs as root.
FROM python:3.11.15-slim AS folder
RUN install -d -o 10001 -g 10001 /artifacts

# The last image that MinIO has published. CVE-2025-62506 is mended in RELEASE.2025-10-15T17-29-55Z, of which there is
# source alone (minio/minio#21647); it lets service accounts that a session policy restricts make others that none
# restricts. Tunelens has one account, the root's: make no restricted ones in this MinIO, or build that release and name
# it here.
FROM minio/minio:RELEASE.2025-09-07T16-13-09Z
COPY --from=folder --chown=10001:10001 /artifacts /artifacts
USER 10001:10001
ENV HOME=/tmp
CMD ["server", "/artifacts", "--address", ":9000"]
