-- The server's own ed25519 key pairs, for v1a signatures: every account's receivers check with the same keys.
CREATE TABLE signing_keys (
    kid        TEXT PRIMARY KEY,            -- thumbprint of the public key (RFC 7638)
    key        TEXT NOT NULL,               -- whsk_ and base64: the private key and the public one
    number     INTEGER NOT NULL,            -- the order they came in, whatever the clock did
    created_at BIGINT NOT NULL,
    expires_at BIGINT                       -- NULL for the current one; signs until then otherwise
);
CREATE UNIQUE INDEX signing_keys_current ON signing_keys ((expires_at IS NULL)) WHERE expires_at IS NULL;

ALTER TABLE secrets ADD COLUMN number INTEGER NOT NULL DEFAULT 0;    -- the order they came in, as above
UPDATE secrets SET number = (
    SELECT count(*) FROM secrets AS other WHERE other.account_id = secrets.account_id
    AND (other.created_at, other.id) <= (secrets.created_at, secrets.id)
);
