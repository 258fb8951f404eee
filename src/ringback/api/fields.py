"""A request's body taken field by field, so that all that is wrong with it is told at once."""

import re
from collections.abc import Collection
from typing import Any

from ringback.rules.schema import invalid_input
from ringback.rules.url import url_fault
from ringback.words.errors import InvalidField

_MANY = 20
"""Faults listed at most."""

_SHOWN = 100
"""Characters shown of a name that the request made up."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Fields:
    """The fields of a JSON object."""

    def __init__(self, body: dict[str, Any], known: Collection[str]) -> None:
        """Take the body and the names that may stand in it."""
        self._body = body
        self.faults = [
            InvalidField(
                "additional_property_not_allowed", "", f"Additional property {key[:_SHOWN]} is not allowed"
            )
            for key in body
            if key not in known
        ]

    def raise_faults(self) -> None:
        """Say what is wrong.

        Raises:
            Invalid: something is.
        """
        if self.faults:
            raise invalid_input(tuple(self.faults[:_MANY]))

    def fault(self, kind: str, field: str, description: str) -> None:
        """Add something that is wrong, in the words of `InvalidField`."""
        self.faults.append(InvalidField(kind, field, description))

    def require(self, *keys: str) -> None:
        """Mind fields that are missing, or null."""
        for key in keys:
            if key not in self._body:
                self.fault("required", "", f"{key} is required")
            elif self._body[key] is None:
                self.fault("invalid_type", key, "Must not be null")

    def text(self, key: str, longest: int) -> str | None:
        """Give a text of up to `longest` characters and without control characters; None if there is none."""
        value = self._of_type(key, str, "string")
        if value is None:
            return None
        if len(value) > longest:
            self.fault("string_lte", key, f"String length must be less than or equal to {longest}")
        elif _CONTROL.search(value):
            self.fault("format", key, "Must be without control characters")
        return str(value)

    def url(self, key: str) -> str | None:
        """Give an http or https URL; None if there is none."""
        value = self._of_type(key, str, "string")
        fault = None if value is None else url_fault(value)
        if fault is not None:
            self.fault("format", key, f"The URL {fault}")
        return None if value is None else str(value)

    def option(self, key: str, options: Collection[str]) -> str | None:
        """Give one of these texts; None if there is none."""
        value = self._of_type(key, str, "string")
        if value is None:
            return None
        if value not in options:
            told = ", ".join(f'"{option}"' for option in options)
            self.fault("enum", key, f"Must be one of the following: {told}")
        return str(value)

    def number(self, key: str, least: int, most: int) -> int | None:
        """Give an integer within bounds; None if there is none."""
        value = self._of_type(key, int, "integer")
        if value is None:
            return None
        if value < least:
            self.fault("number_gte", key, f"Must be greater than or equal to {least}")
        if value > most:
            self.fault("number_lte", key, f"Must be less than or equal to {most}")
        return int(value)

    def _of_type(self, key: str, kind: type, name: str) -> Any:
        value = self._body.get(key)
        if isinstance(value, float) and kind is int and value.is_integer():
            value = int(value)  # 1.0 is an integer in JSON Schema, and in what JavaScript writes
        if value is None or (isinstance(value, kind) and not isinstance(value, bool)):
            return value
        self.fault("invalid_type", key, f"Invalid type. Expected: {name}")
        return None
