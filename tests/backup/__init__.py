"""Backups, exports and erasing, through the whole database."""
