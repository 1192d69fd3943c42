"""What tuning keeps: a sampler's notes on each trial, and how long a job has run."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("run_seconds", sa.Double(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("running_since", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("pursued_until", sa.Double(), nullable=True))
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.alter_column("run_seconds", server_default=None)
    op.execute("UPDATE jobs SET running_since = started_at WHERE state IN ('running', 'pausing')")
    with op.batch_alter_table("trials", schema=None) as batch_op:
        batch_op.add_column(sa.Column("notes", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("trials", schema=None) as batch_op:
        batch_op.drop_column("notes")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_column("pursued_until")
        batch_op.drop_column("running_since")
        batch_op.drop_column("run_seconds")
