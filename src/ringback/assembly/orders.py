"""What an operator may order, as it goes through the control socket: one line of JSON each."""

from typing import Any, Literal

from msgspec import Struct


class NewToken(Struct, tag="token new", tag_field="order", forbid_unknown_fields=True):
    """Make a token, and the account if there is none of that username; "" is the first account."""

    account: str
    name: str


class ListTokens(Struct, tag="token list", tag_field="order", forbid_unknown_fields=True):
    """List the tokens of an account, or with "" of all."""

    account: str


class RevokeToken(Struct, tag="token revoke", tag_field="order", forbid_unknown_fields=True):
    """Make a token invalid."""

    id: str


class AddModel(Struct, tag="models add", tag_field="order", forbid_unknown_fields=True):
    """Serve a model from now on; `settings` as a table of the configuration, paths absolute."""

    name: str
    settings: dict[str, Any]


class ListModels(Struct, tag="models list", tag_field="order", forbid_unknown_fields=True):
    """List the models that are served."""


class RemoveModel(Struct, tag="models remove", tag_field="order", forbid_unknown_fields=True):
    """Serve a model no longer."""

    name: str


class ReloadModel(Struct, tag="models reload", tag_field="order", forbid_unknown_fields=True):
    """Read a model's folder anew; all models' without a name."""

    name: str


class MarkExample(Struct, tag="models example", tag_field="order", forbid_unknown_fields=True):
    """Mark a prediction as an example of its model, or take the mark away."""

    action: Literal["add", "remove"]
    prediction: str


Order = NewToken | ListTokens | RevokeToken | AddModel | ListModels | RemoveModel | ReloadModel | MarkExample
