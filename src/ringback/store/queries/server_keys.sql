-- name: add
INSERT INTO server_keys (name, key, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING;

-- name: get
SELECT key FROM server_keys WHERE name = $1;
