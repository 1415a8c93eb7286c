"""What no user would write: random bytes as text, log and rows.

Each `fuzz_*` module has a `run(data)` that takes any bytes and raises nothing while the promises hold; `corpus/` has
small beginnings for each. `test_corpus.py` runs the corpus and mutations of it with every `make test`; `make fuzz` lets
Atheris, which watches what the bytes reach, choose them: `python -m tests.fuzz [NAME …]`, KALAM_FUZZ_SECONDS each.
"""
