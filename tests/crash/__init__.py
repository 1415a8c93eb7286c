"""The proofs: what is acknowledged is kept, what is not is absent, nothing is half; ids never come twice.

    history.py          a scripted run of every kind of statement, beside a model of what it must leave
    power_loss.py       the run's disk after every operation, times every way to lose what was not synced
    replays.py          recovery again and again, and after one that did not end
    damage.py           torn tails, flipped bits, records and files that were moved, repeated or removed
    failures.py         every write, sync, rename and close that fails, once and for good
    cold.py             every operation of a checkpoint, a flush, a compaction: power cuts after it, failures of it
    failed_flushes.py   a flush that fails, rows, one that succeeds, then a crash
    buckets.py          every request of a flush, a compaction and reads of rows in a bucket that goes wrong
    bucket_crashes.py   the process dies between any two requests of a flush or a compaction
    bucket_backups.py   … of a backup to a bucket
    bucket_removals.py  … of a DROP or an erasing of rows in a bucket
    watched_bucket.py   a bucket and a disk as they were before each request, and again
    backups.py          every operation of a backup and of a restore, with a power cut after it
    restored_directories.py     every operation of kalamdb.restore(), with a power cut after it
    backups_beside_writers.py   backups while everything goes on: a prefix of the order of commits
    found_damage.py     damage planted in a database and in a backup: found by check, refused by a restore
    removals.py         every operation of a DROP and of an erasing, with a power cut after it
    allocations.py      every allocation that fails
    kills.py            kill -9, SIGTERM and SIGINT under four writers, with the acknowledgements in another process
    out_of_memory.py    the kernel's out-of-memory killer
    power_cuts.py       power cuts of real file systems, ext4 and XFS, on loop mounts
    failing_disks.py    disks that fail below real file systems
    limits.py           full disks, too few descriptors, read-only directories, short writes, second openers
    identifiers.py      ids for eight threads, while the clock does what it likes
    page.py             docs/proof.md
    whole_tests.py      tests that are whole in every run, counted for the page

`python -m tests.crash` runs all of it in full, with what stands beside the sources (tests/list_append.py,
tests/test_model.py, tests/oracle, test_simple_select.py and test_ternary_logic.py in tests/execution), and writes
docs/proof.md; the tests sample it by a seed that is new in every run, printed, and given again as KALAM_PROOF_SEED.
"""
