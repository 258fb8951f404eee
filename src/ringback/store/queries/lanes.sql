-- name: save
INSERT INTO lanes (prediction_id, origin, due_at, last_number, window_until, not_before, closed, holder, fence)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (prediction_id) DO UPDATE
SET due_at = $3, last_number = $4, window_until = $5, not_before = $6, closed = $7, holder = $8, fence = $9;

-- name: save_behind
UPDATE lanes SET last_number = $2, window_until = $3, closed = $4 WHERE prediction_id = $1;

-- name: pending
SELECT number, event, attempts, due_at, coalesce(first_at, created_at) FROM deliveries
WHERE prediction_id = $1 AND status = 'pending' ORDER BY number;

-- name: first_origin
SELECT origin FROM lanes WHERE holder IS NULL AND due_at IS NOT NULL ORDER BY origin LIMIT 1;

-- name: next_origin
SELECT origin FROM lanes WHERE holder IS NULL AND due_at IS NOT NULL AND origin > $1 ORDER BY origin LIMIT 1;

-- name: claim
UPDATE lanes SET holder = $1, fence = fence + 1
WHERE prediction_id IN (SELECT prediction_id FROM lanes
                        WHERE origin = $2 AND holder IS NULL AND due_at IS NOT NULL AND due_at <= $3
                        ORDER BY due_at LIMIT $4)
RETURNING prediction_id, fence;

-- name: claim_next
UPDATE lanes SET holder = $1, fence = fence + 1
WHERE prediction_id = (SELECT prediction_id FROM lanes
                       WHERE origin = $2 AND holder IS NULL AND due_at IS NOT NULL AND due_at <= $3
                       ORDER BY due_at LIMIT 1)
RETURNING prediction_id, fence;

-- name: earliest
SELECT due_at FROM lanes WHERE origin = $1 AND holder IS NULL AND due_at IS NOT NULL ORDER BY due_at LIMIT 1;

-- name: held_pending
SELECT d.number, d.event, d.attempts, d.due_at, coalesce(d.first_at, d.created_at), l.closed
FROM lanes l JOIN deliveries d ON d.prediction_id = l.prediction_id AND d.status = 'pending'
WHERE l.prediction_id = $1 AND l.holder = $2 AND l.fence = $3 ORDER BY d.number;

-- name: keep
UPDATE lanes SET fence = fence + 1, due_at = $2, not_before = $3 WHERE prediction_id = $1;

-- name: free
UPDATE lanes SET holder = NULL, due_at = $2, not_before = $3 WHERE prediction_id = $1;

-- name: remove
DELETE FROM lanes WHERE prediction_id = $1;

-- name: orphaned
SELECT prediction_id FROM lanes WHERE holder IS NOT NULL AND holder <> $1;
