-- name: create
INSERT INTO deployments (name, account_id, model, version_id, hardware, min_instances, max_instances, released_at,
                         created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
ON CONFLICT (name) DO NOTHING;

-- name: get
SELECT name, account_id, model, version_id, hardware, min_instances, max_instances, number, released_at, created_at
FROM deployments WHERE name = $1;

-- name: all
SELECT name, account_id, model, version_id, hardware, min_instances, max_instances, number, released_at, created_at
FROM deployments ORDER BY name;

-- name: count
SELECT count(*) FROM deployments WHERE account_id = $1;

-- name: older
SELECT name, account_id, model, version_id, hardware, min_instances, max_instances, number, released_at, created_at
FROM deployments
WHERE account_id = $1 AND (created_at < $2 OR (created_at = $2 AND name > $3))
ORDER BY created_at DESC, name LIMIT $4;

-- name: newer
SELECT name, account_id, model, version_id, hardware, min_instances, max_instances, number, released_at, created_at
FROM deployments
WHERE account_id = $1 AND (created_at > $2 OR (created_at = $2 AND name < $3))
ORDER BY created_at, name DESC LIMIT $4;

-- name: release
UPDATE deployments SET version_id = $2, hardware = $3, min_instances = $4, max_instances = $5, number = number + 1,
                       released_at = $6
WHERE name = $1;

-- name: waiting
SELECT 1 FROM predictions WHERE pool = $1 AND status IN ('starting', 'processing') LIMIT 1;

-- name: delete
DELETE FROM deployments WHERE name = $1;
