-- name: create
INSERT INTO deliveries (prediction_id, number, event, snapshot, upto, due_at, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: create_begun
INSERT INTO deliveries (prediction_id, number, event, snapshot, upto, due_at, created_at, attempts, first_at,
                        attempted_at, body, digest, length)
VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $7, $7, $8, $9, $10);

-- name: merge
UPDATE deliveries SET event = $3, snapshot = $4, upto = $5, due_at = $6 WHERE prediction_id = $1 AND number = $2;

-- name: supersede
UPDATE deliveries SET status = 'superseded', settled_at = $3, body = NULL WHERE prediction_id = $1 AND number = $2;

-- name: head
SELECT d.number, d.event, d.snapshot, d.upto, d.attempts, d.body,
       p.id, p.model, p.version_id, p.status, p.input, p.source, p.created_at, p.started_at, p.completed_at,
       p.error, p.metrics, p.webhook, p.events, p.data_removed, p.kind, p.pool, p.deadline,
       p.account_id, p.origin, p.endpoint, d.asked_at IS NOT NULL
FROM deliveries d JOIN predictions p ON p.id = d.prediction_id
WHERE d.prediction_id = $1 AND d.status = 'pending' ORDER BY d.number LIMIT 1;

-- name: begin
UPDATE deliveries SET attempts = attempts + 1, attempted_at = $3, first_at = coalesce(first_at, $3) WHERE prediction_id = $1 AND number = $2;

-- name: freeze
UPDATE deliveries SET attempts = attempts + 1, first_at = $3, attempted_at = $3, body = $4, digest = $5, length = $6
WHERE prediction_id = $1 AND number = $2;

-- name: settle
UPDATE deliveries SET status = $3, settled_at = $4, body = CASE WHEN $3 = 'dead' THEN body END
WHERE prediction_id = $1 AND number = $2;

-- name: postpone
UPDATE deliveries SET due_at = $3 WHERE prediction_id = $1 AND number = $2;

-- name: forget_unattempted
DELETE FROM deliveries
WHERE prediction_id = $1 AND status = 'pending' AND attempts = 0 AND event IN ('output', 'logs');

-- name: interrupted
SELECT number, attempts, attempted_at, asked_at IS NOT NULL FROM deliveries
WHERE prediction_id = $1 AND status = 'pending' AND attempts > 0 ORDER BY number LIMIT 1;

-- name: record
INSERT INTO attempts (prediction_id, number, attempt, started_at, duration, cause, status, diagnosis, excerpt, resent,
                      asked)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);
