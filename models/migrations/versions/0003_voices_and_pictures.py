"""what stands in a picture, who looks at it; voices that nobody has heard yet"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('attachment', sa.Column('read_text', sqlmodel.sql.sqltypes.AutoString(), nullable=True))
    op.add_column('attachment', sa.Column('look_again_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
    op.add_column('attachment', sa.Column('looks', sa.Integer(), nullable=False, server_default=sa.text('0')))
    op.create_index('ix_attachment_unread', 'attachment', ['added_at'], unique=False, sqlite_where=sa.text('read_text IS NULL'), postgresql_where=sa.text('read_text IS NULL'))
    op.create_index('ix_inbox_voice', 'inbox', ['received_at'], unique=False, sqlite_where=sa.text("kind = 'voice'"), postgresql_where=sa.text("kind = 'voice'"))


def downgrade() -> None:
    op.drop_index('ix_inbox_voice', table_name='inbox')
    op.drop_index('ix_attachment_unread', table_name='attachment')
    op.drop_column('attachment', 'looks')
    op.drop_column('attachment', 'look_again_at')
    op.drop_column('attachment', 'read_text')
