"""Models of tables have an estimator in place of a backbone."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("models", schema=None) as batch_op:
        batch_op.alter_column("backbone", existing_type=sa.String(100), nullable=True)
        batch_op.add_column(sa.Column("estimator", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.execute("UPDATE models SET backbone = '' WHERE backbone IS NULL")
    with op.batch_alter_table("models", schema=None) as batch_op:
        batch_op.drop_column("estimator")
        batch_op.alter_column("backbone", existing_type=sa.String(100), nullable=False)
