"""SQL functions: the registry, the built-in ones (one file each), and those of the application."""

from kalamdb.functions.builtin import builtin_functions
from kalamdb.functions.registry import (
    Function,
    FunctionContext,
    FunctionRegistry,
    IdSource,
    Volatility,
    check_default,
)
from kalamdb.functions.user_function import scalar_function

__all__ = [
    "Function",
    "FunctionContext",
    "FunctionRegistry",
    "IdSource",
    "Volatility",
    "builtin_functions",
    "check_default",
    "scalar_function",
]
