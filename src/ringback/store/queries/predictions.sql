-- name: create
INSERT INTO predictions (id, account_id, version_id, model, input, created_at, webhook, endpoint, origin, events)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: get
SELECT id, model, version_id, status, input, source, created_at, started_at, completed_at, error, metrics,
       webhook, events, data_removed
FROM predictions WHERE id = $1;

-- name: get_of_account
SELECT id, model, version_id, status, input, source, created_at, started_at, completed_at, error, metrics,
       webhook, events, data_removed
FROM predictions WHERE id = $1 AND account_id = $2;

-- name: target
SELECT account_id, origin, endpoint FROM predictions WHERE id = $1;

-- name: newest
SELECT id, model, version_id, status, input, source, created_at, started_at, completed_at, error, metrics,
       webhook, events, data_removed
FROM predictions WHERE account_id = $1 ORDER BY id DESC LIMIT $2;

-- name: older
SELECT id, model, version_id, status, input, source, created_at, started_at, completed_at, error, metrics,
       webhook, events, data_removed
FROM predictions WHERE account_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3;

-- name: newer
SELECT id, model, version_id, status, input, source, created_at, started_at, completed_at, error, metrics,
       webhook, events, data_removed
FROM predictions WHERE account_id = $1 AND id > $2 ORDER BY id ASC LIMIT $3;

-- name: claim
UPDATE predictions SET holder = $2, run = run + 1
WHERE id IN (SELECT id FROM predictions
             WHERE version_id = $1 AND holder IS NULL AND status IN ('starting', 'processing')
             ORDER BY id LIMIT $3)
RETURNING id, input, run, account_id, origin, endpoint, events, status;

-- name: queued_versions
SELECT DISTINCT version_id FROM predictions
WHERE holder IS NULL AND status IN ('starting', 'processing');

-- name: start
UPDATE predictions SET status = $2, started_at = coalesce(started_at, $3) WHERE id = $1;

-- name: end
UPDATE predictions
SET status = $2, started_at = coalesce(started_at, $3), completed_at = $4, error = $5, metrics = $6,
    holder = NULL
WHERE id = $1;

-- name: held
SELECT id, run, model, holder, interruptions
FROM predictions WHERE holder IS NOT NULL AND holder <> $1;

-- name: release
UPDATE predictions SET holder = NULL, interruptions = interruptions + $2 WHERE id = $1;

-- name: published
SELECT 1 FROM deliveries WHERE prediction_id = $1 AND event IN ('output', 'logs') AND attempts > 0 LIMIT 1;
