"""The fuzzers without Atheris: every file of the corpus, and mutations of it by a seed that is new in every run."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.fuzz import fuzz_grammar, fuzz_log_reader, fuzz_manifest, fuzz_rows, fuzz_scanner
from tests.fuzz.mutation import mutations, seeds

MUTATIONS = {
    fuzz_scanner: 2000,
    fuzz_grammar: 600,
    fuzz_log_reader: 600,
    fuzz_rows: 3000,
    fuzz_manifest: 3000,
}


@pytest.mark.parametrize("fuzzer", MUTATIONS, ids=lambda module: module.NAME)
def test_the_corpus_breaks_no_promise(fuzzer: ModuleType) -> None:
    for name, data in seeds(fuzzer.NAME):
        try:
            fuzzer.run(data)
        except BaseException as error:
            error.add_note(f"tests/fuzz/corpus/{fuzzer.NAME}/{name}")
            raise


@pytest.mark.parametrize("fuzzer", MUTATIONS, ids=lambda module: module.NAME)
def test_small_damage_to_the_corpus_breaks_no_promise(fuzzer: ModuleType, seed: int) -> None:
    corpus = [data for _, data in seeds(fuzzer.NAME)]

    for number, data in enumerate(mutations(corpus, fuzzer.WORDS, MUTATIONS[fuzzer], seed)):
        try:
            fuzzer.run(data)
        except BaseException as error:
            error.add_note(f"KALAM_PROOF_SEED={seed}, mutation {number}: {data!r}")
            raise
