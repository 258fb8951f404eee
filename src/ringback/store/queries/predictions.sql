-- name: create
INSERT INTO predictions (id, account_id, version_id, model, input, created_at, webhook, endpoint, origin, events,
                         kind, pool, deadline, destination)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14);

-- name: get
SELECT id, model, version_id, status, input, source, created_at, started_at, completed_at, error, metrics,
       webhook, events, data_removed, kind, pool, deadline
FROM predictions WHERE id = $1;

-- name: get_of_account
SELECT id, model, version_id, status, input, source, created_at, started_at, completed_at, error, metrics,
       webhook, events, data_removed, kind, pool, deadline
FROM predictions WHERE id = $1 AND account_id = $2;

-- name: size
WITH RECURSIVE walk (sequence, size) AS (
    SELECT 0, length(input) FROM predictions WHERE id = $1
    UNION ALL
    SELECT walk.sequence + 50, walk.size + (
        SELECT sum(length(data)) FROM chunks
        WHERE prediction_id = $1 AND sequence > walk.sequence AND sequence <= walk.sequence + 50)
    FROM walk WHERE walk.size <= $2
)
SELECT max(size) FROM walk;

-- name: older
SELECT id FROM predictions
WHERE account_id = $1 AND id < $2 AND id >= $3 AND created_at >= $4 AND created_at < $5 AND :which
ORDER BY id DESC LIMIT $6;

-- name: newer
SELECT id FROM predictions
WHERE account_id = $1 AND id > $2 AND id >= $3 AND created_at >= $4 AND created_at < $5 AND :which
ORDER BY id ASC LIMIT $6;

-- name: idempotent
SELECT digest, prediction_id FROM idempotency WHERE account_id = $1 AND key = $2 AND created_at > $3;

-- name: remember
INSERT INTO idempotency (account_id, key, digest, prediction_id, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (account_id, key) DO UPDATE SET digest = $3, prediction_id = $4, created_at = $5;

-- name: forget_keys
DELETE FROM idempotency WHERE (account_id, key) IN (
    SELECT account_id, key FROM idempotency WHERE created_at <= $1 ORDER BY created_at LIMIT $2
);
