"""The native core of kalamdb: plain C++ with a thin Cython face. It imports nothing of kalamdb."""

from kalamcore.not_null import first_null, first_null_in_batch

__all__ = ["first_null", "first_null_in_batch"]
