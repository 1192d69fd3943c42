"""Indexes for what is asked of a long history: pages of a project, queues, what nobody owns, stale keys."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

OWNED = ("api_keys", "datasets", "explanations", "exports", "jobs", "models", "predictions")
LISTED = ("api_keys", "datasets", "explanations", "jobs", "models", "predictions")
BY_STATE = ("explanations", "jobs", "predictions")
QUEUED = ("datasets", "explanations", "exports", "predictions", "trials")


def upgrade() -> None:
    for table in OWNED:
        op.drop_index(f"ix_{table}_project_id", table_name=table)
        op.drop_index(f"ix_{table}_created_at", table_name=table)
    for table in LISTED:
        op.create_index(f"ix_{table}_listed", table, ["project_id", "created_at", "id"])
    for table in BY_STATE:
        op.create_index(f"ix_{table}_by_state", table, ["project_id", "state", "created_at", "id"])
    for table in QUEUED:
        op.drop_index(f"ix_{table}_state", table_name=table)
        op.create_index(f"ix_{table}_queue", table, ["state", "queued_at"])
    op.drop_index("ix_trials_job_id", table_name="trials")
    op.drop_index("ix_artifacts_created_at", table_name="artifacts")
    _some("ix_artifacts_unowned", "artifacts", "owner_id IS NULL")
    _some("ix_idempotency_keys_in_flight", "idempotency_keys", "status IS NULL AND location IS NULL")
    op.create_index("ix_idempotency_keys_location", "idempotency_keys", ["location"])


def downgrade() -> None:
    op.drop_index("ix_idempotency_keys_location", table_name="idempotency_keys")
    op.drop_index("ix_idempotency_keys_in_flight", table_name="idempotency_keys")
    op.drop_index("ix_artifacts_unowned", table_name="artifacts")
    op.create_index("ix_artifacts_created_at", "artifacts", ["created_at"])
    op.create_index("ix_trials_job_id", "trials", ["job_id"])
    for table in QUEUED:
        op.drop_index(f"ix_{table}_queue", table_name=table)
        op.create_index(f"ix_{table}_state", table, ["state"])
    for table in BY_STATE:
        op.drop_index(f"ix_{table}_by_state", table_name=table)
    for table in LISTED:
        op.drop_index(f"ix_{table}_listed", table_name=table)
    for table in OWNED:
        op.create_index(f"ix_{table}_created_at", table, ["created_at"])
        op.create_index(f"ix_{table}_project_id", table, ["project_id"])


def _some(name: str, table: str, condition: str) -> None:
    """An index of the rows for which the condition holds, by age."""
    where = sa.text(condition)
    op.create_index(name, table, ["created_at"], sqlite_where=where, postgresql_where=where)
