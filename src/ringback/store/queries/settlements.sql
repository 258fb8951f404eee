-- name: held_pending
SELECT d.number, d.event, d.attempts, d.due_at, coalesce(d.first_at, d.created_at), d.before, l.closed,
       o.key IS NOT NULL OR e.key IS NOT NULL, d.asked_at IS NOT NULL,
       EXISTS (SELECT 1 FROM endpoints s WHERE s.origin = l.origin AND s.serve_at IS NOT NULL)
FROM lanes l JOIN deliveries d ON d.prediction_id = l.prediction_id AND d.status = 'pending'
LEFT JOIN endpoints o ON o.key = l.origin LEFT JOIN endpoints e ON e.key = l.endpoint
WHERE l.prediction_id = $1 AND l.holder = $2 AND l.fence = $3 ORDER BY d.number;

-- name: keep
UPDATE lanes SET fence = fence + 1, due_at = $2, not_before = $3 WHERE prediction_id = $1;

-- name: free
UPDATE lanes SET holder = NULL, due_at = $2, not_before = $3, shelved = $4, failed_at = $5 WHERE prediction_id = $1;

-- name: claim_next
UPDATE lanes SET holder = $1, fence = fence + 1
WHERE prediction_id = (SELECT prediction_id FROM lanes
                       WHERE origin = $2 AND endpoint = $3
                         AND holder IS NULL AND due_at IS NOT NULL AND NOT shelved AND due_at <= $4
                       ORDER BY due_at LIMIT 1)
  AND NOT EXISTS (SELECT 1 FROM endpoints WHERE key = lanes.endpoint)
RETURNING prediction_id, fence;

-- name: oldest
SELECT endpoint FROM lanes
WHERE origin = $1 AND holder IS NULL AND due_at IS NOT NULL AND NOT shelved AND due_at <= $2
ORDER BY due_at LIMIT 1;

-- name: claim_standing
UPDATE lanes SET holder = $1, fence = fence + 1
WHERE prediction_id = (SELECT prediction_id FROM lanes
                       WHERE endpoint = $2 AND holder IS NULL AND shelved AND due_at <= $3
                       ORDER BY due_at LIMIT 1)
RETURNING prediction_id, fence;

-- name: next_shelf
SELECT key FROM endpoints
WHERE origin = $1 AND serve_at <= $3 AND key <> $4 AND closed_at IS NULL AND ramp = 0 AND paused_at IS NULL
  AND held_until <= $2
ORDER BY serve_at LIMIT 1;

-- name: look_again
UPDATE endpoints SET serve_at = $2 WHERE key = $1;

-- name: orphaned
SELECT prediction_id FROM lanes WHERE holder IS NOT NULL AND holder <> $1;
