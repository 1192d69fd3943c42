"""What a job may take."""

from pydantic import Field

from service.specs.base import Spec


class LimitsSpec(Spec):
    """Hard limits of a job, and what each of its trials takes."""

    wall_seconds: int = Field(3600, ge=1, le=7 * 24 * 3600)
    devices: int = Field(
        1,
        ge=1,
        le=64,
        description="GPUs (on a worker without any, shares of its CPU: `TUNELENS_TRAIN_SLOTS`) that each trial trains "
        "on. Each takes its share of every batch, so that the course is that of one device, up to rounding and "
        "random changes of samples; batch norm is over the whole batch on GPUs, over each share on CPUs.",
    )
