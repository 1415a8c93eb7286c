"""Jobs: flush, compaction and all else that the database does in the background, told in `system.jobs`."""

from kalamdb.engine.jobs.context import JobContext
from kalamdb.engine.jobs.job import (
    BACKUP,
    CLEAN,
    COMPACT,
    ERASE,
    EXPIRE,
    FLUSH,
    RESTORE,
    Job,
    JobRequest,
    JobStatus,
)
from kalamdb.engine.jobs.retry import RetryDelay
from kalamdb.engine.jobs.runner import JobRunner
from kalamdb.engine.jobs.schedule import PolicySchedule
from kalamdb.engine.jobs.table import JobTable

__all__ = [
    "BACKUP",
    "CLEAN",
    "COMPACT",
    "ERASE",
    "EXPIRE",
    "FLUSH",
    "RESTORE",
    "Job",
    "JobContext",
    "JobRequest",
    "JobRunner",
    "JobStatus",
    "JobTable",
    "PolicySchedule",
    "RetryDelay",
]
