-- name: save
INSERT INTO lanes (prediction_id, origin, due_at, last_number, window_until, not_before, closed, holder, fence,
                   endpoint)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (prediction_id) DO UPDATE
SET due_at = $3, last_number = $4, window_until = $5, not_before = $6, closed = $7, holder = $8, fence = $9,
    shelved = FALSE, failed_at = NULL;

-- name: save_behind
UPDATE lanes SET last_number = $2, window_until = $3, closed = $4 WHERE prediction_id = $1;

-- name: pending
SELECT number, event, attempts, due_at, coalesce(first_at, created_at), before FROM deliveries
WHERE prediction_id = $1 AND status = 'pending' ORDER BY number;

-- name: remove
DELETE FROM lanes WHERE prediction_id = $1;
