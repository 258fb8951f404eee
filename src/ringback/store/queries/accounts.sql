-- name: default
SELECT id FROM accounts ORDER BY created_at, id LIMIT 1;

-- name: create
INSERT INTO accounts (id, username, created_at) VALUES ($1, $2, $3);

-- name: of_username
SELECT id FROM accounts WHERE username = $1;

-- name: username
SELECT username FROM accounts WHERE id = $1;

-- name: token
SELECT account_id FROM tokens WHERE digest = $1 AND revoked_at IS NULL;

-- name: any_token
SELECT 1 FROM tokens WHERE account_id = $1 AND revoked_at IS NULL LIMIT 1;

-- name: add_token
INSERT INTO tokens (digest, account_id, name, created_at, id, hint) VALUES ($1, $2, $3, $4, $5, $6);

-- name: tokens
SELECT t.id, t.hint, a.username, t.name, t.created_at, t.revoked_at FROM tokens t JOIN accounts a ON a.id = t.account_id
WHERE a.username = coalesce($1, a.username) ORDER BY t.created_at, t.id;

-- name: revoke
UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING digest;

-- name: current_secret
SELECT key, created_at FROM secrets WHERE account_id = $1 AND expires_at IS NULL;

-- name: live_secrets
SELECT key FROM secrets WHERE account_id = $1 AND (expires_at IS NULL OR expires_at > $2)
ORDER BY number DESC LIMIT $3;

-- name: ages
SELECT id, created_at, expires_at FROM secrets WHERE account_id = $1
ORDER BY number DESC;

-- name: add_secret
INSERT INTO secrets (id, account_id, key, created_at, number)
SELECT $1, $2, $3, $4, coalesce(max(number), 0) + 1 FROM secrets WHERE account_id = $2;

-- name: retire_secret
UPDATE secrets SET expires_at = $2 WHERE account_id = $1 AND expires_at IS NULL;

-- name: forget_secrets
DELETE FROM secrets WHERE account_id = $1 AND expires_at <= $2;
