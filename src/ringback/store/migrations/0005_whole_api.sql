-- The rest of the API: trainings, deployments, models, files of people, deadlines, idempotency, several accounts.

ALTER TABLE predictions ADD COLUMN kind TEXT NOT NULL DEFAULT 'prediction' CHECK (kind IN ('prediction', 'training'));
ALTER TABLE predictions ADD COLUMN pool TEXT NOT NULL DEFAULT '';   -- whose replicas run it: '' the model's own,
                                        -- 'train' its trainings', owner/name a deployment's
ALTER TABLE predictions ADD COLUMN deadline BIGINT;     -- it is canceled then
ALTER TABLE predictions ADD COLUMN destination TEXT;    -- of a training: the model that gets the new version
ALTER TABLE predictions ADD COLUMN streamed BOOLEAN NOT NULL DEFAULT FALSE; -- somebody has been sent output or logs
CREATE INDEX predictions_trainings ON predictions (account_id, id) WHERE kind = 'training';
CREATE INDEX predictions_web ON predictions (account_id, id) WHERE source = 'web';
DROP INDEX predictions_open;
CREATE INDEX predictions_open ON predictions (version_id, pool, id) WHERE status IN ('starting', 'processing');
CREATE INDEX predictions_deadline ON predictions (deadline)
    WHERE deadline IS NOT NULL AND status IN ('starting', 'processing');

-- A create request that carried an Idempotency-Key, for 24 hours.
CREATE TABLE idempotency (
    account_id    TEXT NOT NULL,
    key           TEXT NOT NULL,
    digest        TEXT NOT NULL,            -- SHA-256 of the route and the canonical body
    prediction_id TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (account_id, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);

CREATE TABLE models (
    name            TEXT PRIMARY KEY,       -- owner/name
    account_id      TEXT NOT NULL,          -- whose it is; '' for one that the server was told to serve: everybody's
    made_by         TEXT NOT NULL CHECK (made_by IN ('configuration', 'command', 'api')),
    served          BOOLEAN NOT NULL DEFAULT TRUE,      -- FALSE: no longer in the configuration, or removed
    settings        TEXT NOT NULL DEFAULT '{}',         -- of made_by 'command': JSON, as a table of the configuration
    visibility      TEXT NOT NULL DEFAULT 'public' CHECK (visibility IN ('public', 'private')),
    hardware        TEXT NOT NULL DEFAULT 'cpu',
    description     TEXT,
    readme          TEXT,
    github_url      TEXT,
    paper_url       TEXT,
    weights_url     TEXT,
    license_url     TEXT,
    cover_image_url TEXT,
    run_count       BIGINT NOT NULL DEFAULT 0,
    created_at      BIGINT NOT NULL
);
CREATE INDEX models_account ON models (account_id);

CREATE TABLE examples (
    model         TEXT NOT NULL,
    prediction_id TEXT NOT NULL,
    added_at      BIGINT NOT NULL,
    PRIMARY KEY (model, prediction_id)
);

CREATE TABLE deployments (
    name          TEXT PRIMARY KEY,         -- owner/name
    account_id    TEXT NOT NULL,
    model         TEXT NOT NULL,
    version_id    TEXT NOT NULL,
    hardware      TEXT NOT NULL,
    min_instances INTEGER NOT NULL,
    max_instances INTEGER NOT NULL,
    number        INTEGER NOT NULL DEFAULT 1,           -- of the current release
    released_at   BIGINT NOT NULL,
    created_at    BIGINT NOT NULL
);
CREATE INDEX deployments_account ON deployments (account_id, created_at);

-- Files that people have sent, and large data URIs taken out of inputs; the bytes lie in the blob store under the id.
CREATE TABLE uploads (
    id            TEXT PRIMARY KEY,
    account_id    TEXT NOT NULL,
    prediction_id TEXT,                     -- of a data URI: the prediction it was an input of; not listed
    name          TEXT NOT NULL,
    content_type  TEXT NOT NULL,
    size          BIGINT NOT NULL,
    md5           TEXT NOT NULL,
    sha256        TEXT NOT NULL,
    metadata      TEXT NOT NULL DEFAULT '{}',           -- JSON object
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT
);
CREATE INDEX uploads_account ON uploads (account_id, id) WHERE prediction_id IS NULL;
CREATE INDEX uploads_expiry ON uploads (expires_at) WHERE expires_at IS NOT NULL;

ALTER TABLE versions ADD COLUMN train TEXT NOT NULL DEFAULT '';     -- file.py:function of its trainings, if it has them
ALTER TABLE versions ADD COLUMN weights TEXT NOT NULL DEFAULT '';   -- made by a training: the file of its weights, id/name
ALTER TABLE versions ADD COLUMN removed BOOLEAN NOT NULL DEFAULT FALSE; -- deleted over the API
DROP INDEX versions_model;
CREATE INDEX versions_model ON versions (model, registered_at, id) WHERE NOT removed;

ALTER TABLE tokens ADD COLUMN id TEXT NOT NULL DEFAULT '';          -- what it is called by, once it is made
ALTER TABLE tokens ADD COLUMN hint TEXT NOT NULL DEFAULT '';        -- its first characters, to tell it from others
UPDATE tokens SET id = 'tok_' || substr(digest, 1, 12);

-- Keys of the server's own (not people's): what signs stream and download URLs.
CREATE TABLE server_keys (
    name       TEXT PRIMARY KEY,
    key        TEXT NOT NULL,               -- hexadecimal
    created_at BIGINT NOT NULL
);
