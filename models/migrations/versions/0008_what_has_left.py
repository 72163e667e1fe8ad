"""how much of a message has left already"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('outbox', sa.Column('parts', sa.Integer(), nullable=False, server_default=sa.text('0')))
    op.add_column('outbox', sa.Column('notice', sqlmodel.sql.sqltypes.AutoString(length=8), nullable=False, server_default=''))


def downgrade() -> None:
    op.drop_column('outbox', 'notice')
    op.drop_column('outbox', 'parts')
