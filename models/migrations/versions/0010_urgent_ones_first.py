"""urgent messages leave their chat first"""

import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None

WAITING = sa.text('finished_at IS NULL')


def upgrade() -> None:
    op.add_column('outbox', sa.Column('lane', sa.SmallInteger(), nullable=False, server_default=sa.text('1')))
    op.drop_index('ix_outbox_order', 'outbox')
    op.create_index('ix_outbox_order', 'outbox', ['conversation', 'lane', 'id'], unique=False, sqlite_where=WAITING, postgresql_where=WAITING)


def downgrade() -> None:
    op.drop_index('ix_outbox_order', 'outbox')
    op.create_index('ix_outbox_order', 'outbox', ['conversation', 'id'], unique=False, sqlite_where=WAITING, postgresql_where=WAITING)
    op.drop_column('outbox', 'lane')
