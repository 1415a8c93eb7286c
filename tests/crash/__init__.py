"""The proofs of durability: what is acknowledged is kept, what is not is absent, nothing is half.

    history.py          a scripted run of every kind of statement, beside a model of what it must leave
    power_loss.py       the run's disk after every operation, times every way to lose what was not synced
    damage.py           torn tails, flipped bits, records and files that were moved, repeated or removed
    failures.py         every write, sync, rename, close and allocation that fails, once and for good
    kills.py            kill -9 and SIGTERM under four writers, with the acknowledgements in another process
    power_cuts.py       power cuts of real file systems, ext4 and XFS, on loop mounts
    limits.py           full disks, too few descriptors, read-only directories, short writes, second openers

`python -m tests.crash` runs all of it in full and writes docs/proof.md; the tests sample it by a seed that is new in
every run, printed, and given again as KALAM_PROOF_SEED.
"""
