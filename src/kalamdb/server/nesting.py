"""How deep what a client sends may be nested.

The libraries that read it call themselves for each level, and how many levels a thread's stack has room for depends on
who started the thread: so it is asked before, and does not depend on that.
"""

DEPTH_MAX = 100
"""As of SQL text. Nothing that is right has more than four."""
