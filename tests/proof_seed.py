"""The seed of everything that `make test` only samples: new in every run, or given again as KALAM_PROOF_SEED."""

from __future__ import annotations

import os
import random

SEED = int(os.environ.get("KALAM_PROOF_SEED") or random.SystemRandom().randrange(10**6))
# The processes that share a run sample by the same seed.
os.environ["KALAM_PROOF_SEED"] = str(SEED)
