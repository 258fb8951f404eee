-- name: get
SELECT d.status, d.snapshot, d.upto, d.attempts, d.digest, d.body,
       p.id, p.model, p.version_id, p.status, p.input, p.source, p.created_at, p.started_at, p.completed_at,
       p.error, p.metrics, p.webhook, p.events, p.data_removed, p.kind, p.pool, p.deadline,
       p.origin, p.endpoint
FROM deliveries d JOIN predictions p ON p.id = d.prediction_id
WHERE d.prediction_id = $1 AND d.number = $2 AND p.account_id = $3;

-- name: lane_holder
SELECT holder FROM lanes WHERE prediction_id = $1;

-- name: newest_attempted
SELECT max(number) FROM deliveries WHERE prediction_id = $1 AND attempts > 0;

-- name: newest
SELECT max(number) FROM deliveries WHERE prediction_id = $1;

-- name: again
UPDATE deliveries
SET status = 'pending', settled_at = NULL, reason = NULL, asked_at = $3, due_at = $4, first_at = NULL,
    before = attempts, body = $5
WHERE prediction_id = $1 AND number = $2;

-- name: now
UPDATE deliveries SET asked_at = $3, due_at = $3 WHERE prediction_id = $1 AND number = $2;

-- name: lane
INSERT INTO lanes (prediction_id, origin, due_at, last_number, closed, fence, endpoint, shelved)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (prediction_id) DO UPDATE SET due_at = $3, not_before = 0, shelved = $8, failed_at = NULL;

-- name: dead
SELECT d.created_at, d.prediction_id, d.number, p.account_id, p.endpoint
FROM deliveries d JOIN predictions p ON p.id = d.prediction_id
WHERE d.status = 'dead' AND (d.created_at, d.prediction_id, d.number) > ($1, $2, $3) AND d.created_at < $4
ORDER BY d.created_at, d.prediction_id, d.number LIMIT $5;

-- name: last_asked
SELECT max(due_at) FROM deliveries WHERE status = 'pending' AND asked_at IS NOT NULL AND attempts = before;

-- name: newer
SELECT 1 FROM deliveries
WHERE prediction_id = $1 AND number > $2 AND (attempts > 0 OR status = 'pending') LIMIT 1;

-- name: first_of_origin
SELECT min(due_at) FROM lanes WHERE origin = $1 AND holder IS NULL AND due_at IS NOT NULL AND NOT shelved;

-- name: first_of_shelf
SELECT min(due_at) FROM lanes WHERE endpoint = $1 AND holder IS NULL AND shelved;
