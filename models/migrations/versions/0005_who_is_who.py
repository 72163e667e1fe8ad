"""who is who: how a user id came to a person, one-time codes; notices given, deletions asked for and done"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('person', sa.Column('origin', sa.Enum('register', 'self', name='origin', native_enum=False, length=32), nullable=False, server_default='register'))
    op.add_column('person', sa.Column('grid', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True))
    op.add_column('person', sa.Column('merged_into', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True))
    op.add_column('person', sa.Column('erased_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
    op.create_index(op.f('ix_person_merged_into'), 'person', ['merged_into'], unique=False)
    op.add_column('identity', sa.Column('how', sa.Enum('pack', 'staff', 'code', 'scene', name='link', native_enum=False, length=32), nullable=False, server_default='pack'))
    op.add_column('identity', sa.Column('since', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))

    op.create_index('ix_inbox_sender', 'inbox', ['channel', 'sender'], unique=False)
    op.create_index('ix_ticketmessage_sender', 'ticketmessage', ['channel', 'sender'], unique=False)
    op.create_table('bindcode',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('channel', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.Column('user', sqlmodel.sql.sqltypes.AutoString(length=128), nullable=False),
    sa.Column('chat', sqlmodel.sql.sqltypes.AutoString(length=128), nullable=False),
    sa.Column('person', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True),
    sa.Column('salt', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.Column('digest', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
    sa.Column('expires_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('claimed_channel', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.Column('claimed_user', sqlmodel.sql.sqltypes.AutoString(length=128), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_bindcode'))
    )
    with op.batch_alter_table('bindcode', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_bindcode_expires_at'), ['expires_at'], unique=False)

    op.create_table('notice',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('channel', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.Column('user', sqlmodel.sql.sqltypes.AutoString(length=128), nullable=False),
    sa.Column('person', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True),
    sa.Column('version', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.Column('at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_notice')),
    sa.UniqueConstraint('channel', 'user', 'version', name=op.f('uq_notice_channel_user_version'))
    )
    with op.batch_alter_table('notice', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_notice_person'), ['person'], unique=False)

    op.create_table('wish',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('channel', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.Column('user', sqlmodel.sql.sqltypes.AutoString(length=128), nullable=False),
    sa.Column('at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_wish')),
    sa.UniqueConstraint('channel', 'user', name=op.f('uq_wish_channel_user'))
    )
    op.create_table('erasure',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('tickets', sa.Integer(), nullable=False),
    sa.Column('held', sa.Integer(), nullable=False),
    sa.Column('messages', sa.Integer(), nullable=False),
    sa.Column('done_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_erasure'))
    )
    op.create_table('linkage',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('by', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
    sa.Column('what', sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
    sa.Column('person', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
    sa.Column('other', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
    sa.Column('channel', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_linkage'))
    )
    with op.batch_alter_table('linkage', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_linkage_other'), ['other'], unique=False)
        batch_op.create_index(batch_op.f('ix_linkage_person'), ['person'], unique=False)

    op.create_table('remnant',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('erasure', sa.Integer(), nullable=False),
    sa.Column('kind', sa.Enum('file', 'user', 'ticket', name='remnantkind', native_enum=False, length=32), nullable=False),
    sa.Column('channel', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.Column('value', sqlmodel.sql.sqltypes.AutoString(length=256), nullable=False),
    sa.Column('chat', sqlmodel.sql.sqltypes.AutoString(length=128), nullable=False),
    sa.Column('before', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('due_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['erasure'], ['erasure.id'], name=op.f('fk_remnant_erasure_erasure')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_remnant'))
    )
    with op.batch_alter_table('remnant', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_remnant_due_at'), ['due_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_remnant_erasure'), ['erasure'], unique=False)

    op.create_table('owed',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('erasure', sa.Integer(), nullable=False),
    sa.Column('ticket', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('channel', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.Column('user', sqlmodel.sql.sqltypes.AutoString(length=128), nullable=False),
    sa.Column('people', sa.JSON(), nullable=False),
    sa.Column('chats', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['erasure'], ['erasure.id'], name=op.f('fk_owed_erasure_erasure')),
    sa.ForeignKeyConstraint(['ticket'], ['ticket.id'], name=op.f('fk_owed_ticket_ticket')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_owed')),
    sa.UniqueConstraint('ticket', 'channel', 'user', name=op.f('uq_owed_ticket_channel_user'))
    )
    with op.batch_alter_table('owed', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_owed_erasure'), ['erasure'], unique=False)
        batch_op.create_index(batch_op.f('ix_owed_ticket'), ['ticket'], unique=False)


def downgrade() -> None:
    for name in ('owed', 'remnant', 'linkage', 'erasure', 'wish', 'notice', 'bindcode'):
        op.drop_table(name)
    op.drop_index('ix_ticketmessage_sender', table_name='ticketmessage')
    op.drop_index('ix_inbox_sender', table_name='inbox')
    op.drop_column('identity', 'since')
    op.drop_column('identity', 'how')
    op.drop_index(op.f('ix_person_merged_into'), table_name='person')
    op.drop_column('person', 'erased_at')
    op.drop_column('person', 'merged_into')
    op.drop_column('person', 'grid')
    op.drop_column('person', 'origin')
