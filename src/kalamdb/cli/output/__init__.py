"""Answers as text and files: one table of formats, a module each."""

from kalamdb.cli.output.formats import FORMATS, Writer, format_of_file
from kalamdb.cli.output.look import Look

__all__ = ["FORMATS", "Look", "Writer", "format_of_file"]
