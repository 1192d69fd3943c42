"""Which dataset a model was trained on, and whose samples predictions and explanations are about.

Models whose job was deleted before keep null: nothing in the rows says what they were trained on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SERVINGS = ("explanations", "predictions")


def upgrade() -> None:
    for table in ("models", *SERVINGS):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column("dataset_id", sa.String(length=64), nullable=True))
    _fill_models()
    for table in SERVINGS:
        _fill_servings(table)
    op.create_index("ix_models_dataset_id", "models", ["dataset_id"])
    some = sa.text("dataset_id IS NOT NULL")
    for table in SERVINGS:
        op.create_index(f"ix_{table}_dataset_id", table, ["dataset_id"], sqlite_where=some, postgresql_where=some)


def downgrade() -> None:
    for table in ("models", *SERVINGS):
        op.drop_index(f"ix_{table}_dataset_id", table_name=table)
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column("dataset_id")


def _fill_models() -> None:
    models = sa.table("models", sa.column("job_id"), sa.column("dataset_id"))
    jobs = sa.table("jobs", sa.column("id"), sa.column("dataset_id"))
    trained_on = sa.select(jobs.c.dataset_id).where(jobs.c.id == models.c.job_id).scalar_subquery()
    op.execute(sa.update(models).values(dataset_id=trained_on))


def _fill_servings(name: str) -> None:
    """All inputs of one are from the same dataset, or from none. PostgreSQL takes no JSON with a NUL in it apart, as
    names of uploaded files could have; nothing of a dataset has one.
    """
    servings = sa.table(name, sa.column("inputs", sa.JSON()), sa.column("dataset_id", sa.String()))
    written = sa.cast(servings.c.inputs, sa.Text())
    found = servings.c.inputs[(0, "dataset_id")].as_string()
    value = sa.case((written.contains("\\u0000", autoescape=True), sa.null()), else_=found)
    op.execute(sa.update(servings).where(written.contains('"dataset_id"')).values(dataset_id=value))
