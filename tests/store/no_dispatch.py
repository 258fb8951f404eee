"""A process that delivers nothing."""

from ringback.rules.endpoint import Target


class NoDispatch:
    """A process without a dispatcher: lanes stay free."""

    def reserve(self, _target: Target) -> None:
        return None

    def expect(self, _owed: object, _target: object = None) -> None:
        return None

    def wake(self) -> None:
        return None
