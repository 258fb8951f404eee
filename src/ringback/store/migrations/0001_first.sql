-- Times are integers: microseconds since the epoch, UTC. JSON is canonical text (words/json.py).
-- Hot tables declare no foreign keys: each costs a look-up per insert, and every row here is written in the
-- transaction that writes its parent.

CREATE TABLE accounts (
    id         TEXT PRIMARY KEY,
    username   TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE tokens (
    digest     TEXT PRIMARY KEY,            -- SHA-256 of the token; the token itself is never kept
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

CREATE TABLE secrets (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    key        TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT                       -- NULL for the current one; signs until then otherwise
);
CREATE UNIQUE INDEX secrets_current ON secrets (account_id) WHERE expires_at IS NULL;

CREATE TABLE versions (
    id             TEXT PRIMARY KEY CHECK (length(id) = 64),
    model          TEXT NOT NULL,           -- owner/name
    entry          TEXT NOT NULL,           -- file.py:Class
    openapi_schema TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    registered_at  BIGINT NOT NULL          -- last time a server was told to serve it; the newest is the latest
);
CREATE INDEX versions_model ON versions (model, registered_at);

CREATE TABLE version_files (
    version_id TEXT NOT NULL REFERENCES versions (id),
    path       TEXT NOT NULL,               -- relative, with slashes
    mode       INTEGER NOT NULL,
    size       BIGINT NOT NULL,
    content    BLOB,                        -- NULL for a large file, then
    origin     TEXT,                        -- the absolute path where it lay
    PRIMARY KEY (version_id, path),
    CHECK ((content IS NULL) <> (origin IS NULL))
);

CREATE TABLE predictions (
    id            TEXT PRIMARY KEY CHECK (length(id) = 26),
    account_id    TEXT NOT NULL,
    version_id    TEXT NOT NULL,
    model         TEXT NOT NULL,
    input         TEXT NOT NULL,
    source        TEXT NOT NULL DEFAULT 'api',
    status        TEXT NOT NULL DEFAULT 'starting'
                  CHECK (status IN ('starting', 'processing', 'succeeded', 'failed', 'canceled')),
    created_at    BIGINT NOT NULL,
    started_at    BIGINT,
    completed_at  BIGINT,
    error         TEXT,
    metrics       TEXT NOT NULL DEFAULT '{}',
    data_removed  BOOLEAN NOT NULL DEFAULT FALSE,
    webhook       TEXT,
    endpoint      TEXT,                     -- the webhook without its query
    origin        TEXT,                     -- scheme://host:port
    events        INTEGER NOT NULL DEFAULT 0,
    holder        TEXT,                     -- the worker that runs it
    run           INTEGER NOT NULL DEFAULT 0,           -- the fence: one more at each claim
    interruptions INTEGER NOT NULL DEFAULT 0,           -- runs lost with their worker
    CHECK ((completed_at IS NULL) = (status IN ('starting', 'processing'))),
    CHECK (status <> 'processing' OR started_at IS NOT NULL),
    CHECK (error IS NULL OR status = 'failed'),
    CHECK (status IN ('starting', 'processing') OR holder IS NULL),
    CHECK ((webhook IS NULL) = (origin IS NULL))
);
CREATE INDEX predictions_account ON predictions (account_id, id);
-- The queue and what is held, in one: a claim then changes no index. What is held is short and stands in front.
CREATE INDEX predictions_open ON predictions (version_id, id) WHERE status IN ('starting', 'processing');

CREATE TABLE chunks (
    prediction_id TEXT NOT NULL,
    sequence      INTEGER NOT NULL,
    kind          TEXT NOT NULL CHECK (kind IN ('value', 'items', 'logs')),
    data          TEXT NOT NULL,            -- value: JSON; items: a JSON array, never empty; logs: plain text
    PRIMARY KEY (prediction_id, sequence)
) WITHOUT ROWID;

-- Only lanes that may still owe something: the last delivery of a closed one takes the row with it.
CREATE TABLE lanes (
    prediction_id TEXT PRIMARY KEY,
    origin        TEXT NOT NULL,
    due_at        BIGINT,                   -- when its head is due; NULL when nothing is pending
    last_number   INTEGER NOT NULL,
    window_until  BIGINT NOT NULL DEFAULT 0,
    not_before    BIGINT NOT NULL DEFAULT 0,
    closed        BOOLEAN NOT NULL DEFAULT FALSE,       -- the prediction has ended: nothing more will be owed
    holder        TEXT,                     -- the dispatcher whose attempt of the head is in flight
    fence         INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX lanes_due ON lanes (origin, due_at) WHERE holder IS NULL AND due_at IS NOT NULL;

CREATE TABLE deliveries (
    prediction_id TEXT NOT NULL,
    number        INTEGER NOT NULL,         -- with the prediction's id it makes webhook-id
    event         TEXT NOT NULL CHECK (event IN ('start', 'output', 'logs', 'completed')),
    status        TEXT NOT NULL DEFAULT 'pending'
                  CHECK (status IN ('pending', 'delivered', 'superseded', 'dead')),
    snapshot      TEXT NOT NULL,            -- the prediction's status it shows
    upto          INTEGER NOT NULL,         -- the last chunk it shows
    attempts      INTEGER NOT NULL DEFAULT 0,
    first_at      BIGINT,                   -- when the first attempt was claimed: the retry window begins then
    attempted_at  BIGINT,                   -- when the latest attempt was claimed
    due_at        BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    settled_at    BIGINT,
    body          TEXT,                     -- frozen at the first attempt, dropped once delivered or superseded
    digest        TEXT,                     -- its SHA-256
    length        BIGINT,                   -- its size in bytes
    PRIMARY KEY (prediction_id, number),
    CHECK ((settled_at IS NULL) = (status = 'pending')),
    CHECK (attempts = 0 OR digest IS NOT NULL),
    CHECK (status <> 'pending' OR attempts = 0 OR body IS NOT NULL)
);
CREATE INDEX deliveries_pending ON deliveries (prediction_id, number) WHERE status = 'pending';

CREATE TABLE attempts (
    prediction_id TEXT NOT NULL,
    number        INTEGER NOT NULL,
    attempt       INTEGER NOT NULL,         -- from 1
    started_at    BIGINT NOT NULL,
    duration      BIGINT NOT NULL,          -- microseconds
    cause         TEXT NOT NULL,
    status        INTEGER,
    diagnosis     TEXT NOT NULL,
    excerpt       TEXT NOT NULL,
    resent        BOOLEAN NOT NULL,
    PRIMARY KEY (prediction_id, number, attempt)
) WITHOUT ROWID;

CREATE TABLE files (
    id            TEXT PRIMARY KEY,         -- unguessable: whoever has the URL may read it
    prediction_id TEXT NOT NULL,
    name          TEXT NOT NULL,
    content_type  TEXT NOT NULL,
    size          BIGINT NOT NULL,
    created_at    BIGINT NOT NULL
);
CREATE INDEX files_prediction ON files (prediction_id);
