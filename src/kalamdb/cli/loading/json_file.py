"""JSON, an object a line or one array of objects, as columns of texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kalamdb.cli.loading.rows import FileRows
from kalamdb.errors import InvalidValue
from kalamdb.types import DataType, TypeName


def read_json(data: Any, name: str, types: Mapping[str, DataType], *, lines: bool) -> FileRows:
    """The rows. `lines`: an object a line; else one array. Of a value that is no scalar, and of every value of a JSON
    column, the text is its JSON. Raises InvalidValue."""
    import orjson
    import pyarrow as pa

    rows: list[dict[str, Any]] = []
    places: list[int] = []
    wrong: dict[int, str] = {}
    if lines:
        found = []
        for number, line in enumerate(data.read().splitlines(), 1):
            if line.strip():
                try:
                    found.append((number, orjson.loads(line)))
                except orjson.JSONDecodeError as error:
                    wrong[number] = f"it is no JSON: {error}"
    else:
        try:
            array = orjson.loads(data.read())
        except orjson.JSONDecodeError as error:
            raise InvalidValue(f"{name} is no JSON: {error}") from None
        if not isinstance(array, list):
            raise InvalidValue(
                f"{name} is no array of objects; a file with an object a line is called .ndjson"
            )
        found = list(enumerate(array, 1))
    for number, row in found:
        if isinstance(row, dict):
            rows.append(row)
            places.append(number)
        else:
            wrong[number] = "it is no object"
    names = list(dict.fromkeys(key for row in rows for key in row))
    table = pa.table(
        {key: pa.array([_text(row.get(key), types.get(key)) for row in rows], pa.string()) for key in names}
    )
    return FileRows(table, texts=True, malformed=wrong, lines=places, unit="line" if lines else "object")


def _text(value: Any, kind: DataType | None) -> str | None:
    import orjson

    if value is None:
        return None
    if kind is not None and kind.name is TypeName.JSON:
        return orjson.dumps(value).decode()
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return orjson.dumps(value).decode()
