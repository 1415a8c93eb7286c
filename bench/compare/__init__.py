"""The peers, each opened as its own users would open it."""
