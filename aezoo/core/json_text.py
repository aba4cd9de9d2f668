"""The JSON that aezoo writes and prints: what every reader of JSON understands. Standard library only."""

import json
import math
from typing import Any


def json_text(value: Any, **layout: Any) -> str:
    """Returns a value as a text of JSON.

    JSON has no word for NaN and infinity; Python's own NaN would end in an error in every other reader.
    A number that is not finite becomes null, at any depth.

    Args:
        value: what `json.dumps` takes.
        layout: `indent` or `separators`, as `json.dumps` has them.

    >>> json_text({"score": [0.5, float("nan"), float("inf")]})
    '{"score": [0.5, null, null]}'
    """
    return json.dumps(_finite(value), allow_nan=False, **layout)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
