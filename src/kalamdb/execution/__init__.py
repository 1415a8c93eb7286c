"""Statements to results: one file per family, and `query/` for every SELECT that the engine does not answer itself."""
