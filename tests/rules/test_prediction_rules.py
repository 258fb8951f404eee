"""The life of a prediction: every status with every move, and what its worker's death makes of it."""

from itertools import product
from typing import get_args

import pytest

from ringback.rules.prediction import (
    EVENT_OF,
    EVENTS,
    TERMINAL,
    TRANSITIONS,
    Event,
    Move,
    Recovery,
    Status,
    after,
    mask,
    recover,
    unmask,
)

STATUSES: tuple[Status, ...] = get_args(Status)
MOVES: tuple[Move, ...] = get_args(Move)

TABLE: dict[Status, dict[Move, Status | None]] = {
    "starting": {"start": "processing", "succeed": None, "fail": "failed", "cancel": "canceled"},
    "processing": {"start": None, "succeed": "succeeded", "fail": "failed", "cancel": "canceled"},
    "succeeded": {"start": None, "succeed": None, "fail": None, "cancel": None},
    "failed": {"start": None, "succeed": None, "fail": None, "cancel": None},
    "canceled": {"start": None, "succeed": None, "fail": None, "cancel": None},
}


@pytest.mark.parametrize(("status", "move"), list(product(STATUSES, MOVES)))
def test_each_move_leads_where_the_table_says_or_nowhere(status: Status, move: Move) -> None:
    assert after(status, move) == TABLE[status][move]


def test_the_terminal_statuses_are_those_that_no_move_leaves() -> None:
    assert {status for status in STATUSES if not any(TABLE[status].values())} == TERMINAL


def test_every_status_that_is_reached_owes_an_event_and_each_end_owes_completed() -> None:
    assert set(EVENT_OF) == set(TRANSITIONS.values())
    assert {status for status, event in EVENT_OF.items() if event == "completed"} == TERMINAL


@pytest.mark.parametrize("chosen", list(product([False, True], repeat=4)))
def test_a_filter_survives_being_packed_whatever_its_order(chosen: tuple[bool, ...]) -> None:
    events: tuple[Event, ...] = tuple(event for event, is_in in zip(EVENTS, chosen, strict=True) if is_in)
    assert unmask(mask(events)) == events
    assert mask(events[::-1] + events) == mask(frozenset(events))


@pytest.mark.parametrize(
    ("begun", "published", "interruptions", "policy", "becomes"),
    [
        (False, False, 0, "never", "release"),
        (False, False, 0, "unpublished", "release"),
        (False, False, 7, "unpublished", "release"),
        (True, False, 0, "never", "fail"),
        (True, False, 0, "unpublished", "again"),
        (True, False, 0, "always", "again"),
        (True, True, 0, "never", "fail"),
        (True, True, 0, "unpublished", "fail"),
        (True, True, 0, "always", "again"),
        (True, False, 1, "unpublished", "fail"),
        (True, False, 1, "always", "fail"),
        (True, True, 1, "always", "fail"),
    ],
)
def test_an_interrupted_prediction_runs_once_more_at_most_and_only_as_its_model_allows(
    begun: bool, published: bool, interruptions: int, policy: str, becomes: Recovery
) -> None:
    assert recover(begun=begun, published=published, interruptions=interruptions, policy=policy) == becomes
