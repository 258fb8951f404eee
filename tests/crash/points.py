"""The points at which paused_server.py can stop."""

BEFORE_COMMIT = "before commit"
BEFORE_DISPATCH = "after commit, before the dispatcher is called"
BEFORE_WORKER = "after commit, before the worker is called"
BEFORE_POST = "after claim, before POST"
AFTER_POST = "after POST, before recording"
RESCHEDULING = "while rescheduling"
RESENDING = "during a resend"
ROTATING = "during rotation"
TRAINED = "at the end of a training"
MIGRATING = "in a statement of a migration"
MIGRATED = "before the commit of a migration"

ASKED = {ROTATING, RESENDING}
"""Reached because somebody asks for it."""

SERVING = [
    BEFORE_COMMIT,
    BEFORE_DISPATCH,
    BEFORE_WORKER,
    BEFORE_POST,
    AFTER_POST,
    RESCHEDULING,
    RESENDING,
    ROTATING,
]
STARTING = [MIGRATING, MIGRATED]
