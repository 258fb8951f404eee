-- name: of_origin
SELECT prediction_id, closed FROM lanes
WHERE origin = $1 AND holder IS NULL AND due_at IS NOT NULL AND NOT shelved AND due_at <= $2
  AND NOT EXISTS (SELECT 1 FROM endpoints e WHERE e.key = lanes.endpoint AND e.paused_at IS NOT NULL)
ORDER BY due_at LIMIT $3;

-- name: of_shelf
SELECT prediction_id, closed FROM lanes
WHERE endpoint = $1 AND holder IS NULL AND shelved AND due_at <= $2 ORDER BY due_at LIMIT $3;

-- name: shelves
SELECT key FROM endpoints WHERE origin = $1 AND serve_at IS NOT NULL AND paused_at IS NULL ORDER BY serve_at LIMIT $2;

-- name: end
UPDATE deliveries SET status = 'dead', settled_at = $3, reason = $4 WHERE prediction_id = $1 AND number = $2;

-- name: rest
UPDATE lanes SET due_at = $2 WHERE prediction_id = $1;
