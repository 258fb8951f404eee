-- name: all
SELECT kid, created_at, expires_at, key FROM signing_keys ORDER BY number DESC;

-- name: add
INSERT INTO signing_keys (kid, key, created_at, number)
SELECT $1, $2, $3, coalesce(max(number), 0) + 1 FROM signing_keys;

-- name: retire
UPDATE signing_keys SET expires_at = $1 WHERE expires_at IS NULL;

-- name: forget
DELETE FROM signing_keys WHERE expires_at <= $1;
