"""A deployment of this folder's own: what is done to it here is not for others to bear."""

from tests.deployment.conftest import client, dataset_id, deployed

__all__ = ["client", "dataset_id", "deployed"]
