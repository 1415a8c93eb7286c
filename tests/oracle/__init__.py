"""An oracle: queries made at random, asked of us and of two witnesses, SQLite and DuckDB.

queries.py      the queries: joins, subqueries, aggregates, windows, set operations, over NULL wherever it can be
witnesses.py    what SQLite and DuckDB answer, in one form
test_oracle.py  ours beside theirs, wherever the rows are; `make proof` asks thousands
"""
