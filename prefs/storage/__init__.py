"""Facts at rest: SQLAlchemy Core on SQLite or PostgreSQL. Rows never leave this folder."""
