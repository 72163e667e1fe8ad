"""Alembic migrations; run by `models.schema.upgrade`."""
