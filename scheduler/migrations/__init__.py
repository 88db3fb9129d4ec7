"""How the tables came to be, step by step (Alembic). Run by `store.Store.migrate` at every start."""
