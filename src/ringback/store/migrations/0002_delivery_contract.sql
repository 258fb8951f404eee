-- Endpoints that can't be treated like any other now: failing, closed, held by a Retry-After, recovering,
-- or paused. Where all is well there is no row.
CREATE TABLE endpoints (
    key          TEXT PRIMARY KEY,          -- an origin, or "<account> <endpoint>"
    account_id   TEXT NOT NULL,             -- '' for an origin: a connection fails for everybody alike
    url          TEXT NOT NULL,             -- the origin or the endpoint
    origin       TEXT NOT NULL,
    failures     INTEGER NOT NULL DEFAULT 0,            -- in a row, of those that count against it
    scattered    INTEGER NOT NULL DEFAULT 0,            -- of an origin: endpoints that began to fail, in a row
    failing_since BIGINT,                   -- the first failure of the row
    failed_at    BIGINT,                    -- the last one
    diagnosis    TEXT NOT NULL DEFAULT '',  -- of the last one
    closed_at    BIGINT,
    gap          BIGINT NOT NULL DEFAULT 0, -- while closed: microseconds to the next probe
    probing      BOOLEAN NOT NULL DEFAULT FALSE,        -- while closed: a probe is in flight
    not_before   BIGINT NOT NULL DEFAULT 0, -- while closed: the next probe
    held_until   BIGINT NOT NULL DEFAULT 0, -- the receiver's Retry-After
    ramp         INTEGER NOT NULL DEFAULT 0,            -- while recovering: attempts at a time
    recovered_at BIGINT NOT NULL DEFAULT 0, -- lanes that failed before this no longer wait for their own time
    paused_at    BIGINT,
    serve_at     BIGINT,                    -- when its shelf is to be looked at; NULL when nothing stands there
    changed_at   BIGINT NOT NULL
);
CREATE INDEX endpoints_serve ON endpoints (serve_at) WHERE serve_at IS NOT NULL;
CREATE INDEX endpoints_origin ON endpoints (origin);
CREATE INDEX endpoints_shelves ON endpoints (origin, serve_at) WHERE serve_at IS NOT NULL;
CREATE INDEX endpoints_account ON endpoints (account_id, url);
CREATE INDEX endpoints_account_paused ON endpoints (account_id) WHERE paused_at IS NOT NULL;

ALTER TABLE lanes ADD COLUMN endpoint TEXT NOT NULL DEFAULT '';     -- the key of its endpoint
ALTER TABLE lanes ADD COLUMN shelved BOOLEAN NOT NULL DEFAULT FALSE; -- due, and its endpoint can't take it now
ALTER TABLE lanes ADD COLUMN failed_at BIGINT;          -- its head's last attempt failed then, for its endpoint's fault
UPDATE lanes SET endpoint = (SELECT account_id || ' ' || endpoint FROM predictions WHERE id = prediction_id);
DROP INDEX lanes_due;
CREATE INDEX lanes_due ON lanes (origin, due_at, endpoint)
    WHERE holder IS NULL AND due_at IS NOT NULL AND NOT shelved;
CREATE INDEX lanes_endpoint ON lanes (origin, endpoint, due_at)
    WHERE holder IS NULL AND due_at IS NOT NULL AND NOT shelved;
CREATE INDEX lanes_shelf ON lanes (endpoint, due_at) WHERE holder IS NULL AND shelved;
CREATE INDEX lanes_failed ON lanes (origin, failed_at) WHERE holder IS NULL AND NOT shelved AND failed_at IS NOT NULL;
CREATE INDEX lanes_failed_shelf ON lanes (endpoint, failed_at) WHERE holder IS NULL AND shelved AND failed_at IS NOT NULL;

ALTER TABLE deliveries ADD COLUMN asked_at BIGINT;      -- when somebody asked for it to be sent again
ALTER TABLE deliveries ADD COLUMN before INTEGER NOT NULL DEFAULT 0; -- attempts made before that
ALTER TABLE deliveries ADD COLUMN reason TEXT;           -- why it is dead, if no attempt says it
CREATE INDEX deliveries_dead ON deliveries (created_at, prediction_id, number) WHERE status = 'dead';
CREATE INDEX deliveries_asked ON deliveries (due_at)
    WHERE status = 'pending' AND asked_at IS NOT NULL AND attempts = before;

ALTER TABLE attempts ADD COLUMN asked BOOLEAN NOT NULL DEFAULT FALSE; -- it was made because somebody asked

-- What the operator is told by webhook; a row goes once it is acknowledged.
CREATE TABLE notices (
    id         TEXT PRIMARY KEY,
    type       TEXT NOT NULL,
    subject    TEXT NOT NULL,               -- the endpoint or origin it is about; dead: the origin
    data       TEXT NOT NULL,               -- JSON
    count      INTEGER NOT NULL DEFAULT 1,  -- how many of the kind it stands for
    attempts   INTEGER NOT NULL DEFAULT 0,
    due_at     BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX notices_due ON notices (due_at);
CREATE INDEX notices_turn ON notices ((type = 'deliveries.dead'), due_at);
CREATE UNIQUE INDEX notices_waiting ON notices (type, subject) WHERE attempts = 0;
