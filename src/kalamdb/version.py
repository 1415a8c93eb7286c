"""The version of kalamdb, as every layer may tell it."""

__version__ = "0.1.0"
