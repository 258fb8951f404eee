"""The extra headers of `[egress.headers]`, those from the environment filled in."""

from collections.abc import Mapping

from ringback.rules.headers import ExtraHeaders, Tables, extra_headers, value_fault
from ringback.words.errors import SetupError

_FROM_ENVIRONMENT = "env:"


def filled_in(tables: Tables, environment: Mapping[str, str]) -> ExtraHeaders:
    """Read the values that are written as `env:NAME` from `environment`.

    Args:
        tables: names and values by destination, without faults (assembly/config.py).
        environment: variables by name.

    Raises:
        SetupError: a variable is not set, or can't be a header's value; names it, never the value.
    """
    return extra_headers(
        {
            destination: {name: _value(value, environment) for name, value in table.items()}
            for destination, table in tables.items()
        }
    )


def _value(text: str, environment: Mapping[str, str]) -> str:
    if not text.startswith(_FROM_ENVIRONMENT):
        return text
    variable = text.removeprefix(_FROM_ENVIRONMENT)
    value = environment.get(variable)
    if value is None:
        raise SetupError(f"egress.headers: the environment variable {variable} is not set")
    fault = value_fault(value)
    if fault is not None:
        raise SetupError(f"egress.headers: the environment variable {variable} {fault}")
    return value
