"""The seed by which the proofs are sampled: new in every run, printed, and given again as KALAM_PROOF_SEED."""

from __future__ import annotations

import os
import random

import pytest

SEED = int(os.environ.get("KALAM_PROOF_SEED") or random.SystemRandom().randrange(10**6))


def pytest_report_header() -> str:
    return f"proofs of durability are sampled by KALAM_PROOF_SEED={SEED}"


@pytest.fixture
def seed(capsys: pytest.CaptureFixture[str]) -> int:
    """Shown with every test that fails."""
    print(f"KALAM_PROOF_SEED={SEED}")
    return SEED
