"""How the tables came to be, step by step (Alembic). run by `database.Database.migrate` at every start."""
