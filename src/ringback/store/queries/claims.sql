-- name: first_origin
SELECT origin FROM lanes WHERE holder IS NULL AND due_at IS NOT NULL AND NOT shelved ORDER BY origin LIMIT 1;

-- name: next_origin
SELECT origin FROM lanes WHERE holder IS NULL AND due_at IS NOT NULL AND NOT shelved AND origin > $1
ORDER BY origin LIMIT 1;

-- name: due
SELECT prediction_id, endpoint FROM lanes
WHERE origin = $1 AND holder IS NULL AND due_at IS NOT NULL AND NOT shelved AND due_at <= $2
ORDER BY due_at LIMIT $3;

-- name: newest
SELECT prediction_id, endpoint FROM lanes
WHERE origin = $1 AND holder IS NULL AND due_at IS NOT NULL AND NOT shelved AND due_at <= $2
ORDER BY due_at DESC LIMIT $3;

-- name: failed
SELECT prediction_id, endpoint FROM lanes
WHERE origin = $1 AND holder IS NULL AND NOT shelved AND failed_at IS NOT NULL AND failed_at < $2 AND due_at > $3
ORDER BY failed_at LIMIT $4;

-- name: earliest
SELECT due_at FROM lanes
WHERE origin = $1 AND holder IS NULL AND due_at IS NOT NULL AND NOT shelved AND due_at > $2
ORDER BY due_at LIMIT 1;

-- name: due_endpoints
WITH RECURSIVE named (endpoint, place) AS (
    SELECT (SELECT endpoint FROM lanes
            WHERE origin = $1 AND holder IS NULL AND due_at IS NOT NULL AND NOT shelved AND endpoint > $2
            ORDER BY endpoint LIMIT 1), 1
    UNION ALL
    SELECT (SELECT l.endpoint FROM lanes l
            WHERE l.origin = $1 AND l.holder IS NULL AND l.due_at IS NOT NULL AND NOT l.shelved
              AND l.endpoint > named.endpoint
            ORDER BY l.endpoint LIMIT 1), place + 1
    FROM named WHERE named.endpoint IS NOT NULL AND place < $4)
SELECT endpoint FROM named
WHERE EXISTS (SELECT 1 FROM lanes l
              WHERE l.origin = $1 AND l.endpoint = named.endpoint AND l.holder IS NULL AND l.due_at IS NOT NULL
                AND NOT l.shelved AND l.due_at <= $3)
LIMIT $5;

-- name: due_of
SELECT prediction_id, endpoint FROM lanes
WHERE origin = $1 AND endpoint = $2 AND holder IS NULL AND due_at IS NOT NULL AND NOT shelved AND due_at <= $3
ORDER BY due_at LIMIT $4;

-- name: take
UPDATE lanes SET holder = $2, fence = fence + 1 WHERE prediction_id = $1 AND holder IS NULL RETURNING fence;

-- name: shelve
UPDATE lanes SET shelved = TRUE, due_at = CASE WHEN due_at > $2 THEN $2 ELSE due_at END WHERE prediction_id = $1;

-- name: shelf_due
SELECT prediction_id FROM lanes
WHERE endpoint = $1 AND holder IS NULL AND shelved AND due_at <= $2 ORDER BY due_at LIMIT $3;

-- name: shelf_failed
SELECT prediction_id FROM lanes
WHERE endpoint = $1 AND holder IS NULL AND shelved AND failed_at IS NOT NULL AND failed_at < $2 AND due_at > $3
ORDER BY failed_at LIMIT $4;

-- name: shelf_earliest
SELECT due_at FROM lanes WHERE endpoint = $1 AND holder IS NULL AND shelved AND due_at IS NOT NULL
ORDER BY due_at LIMIT 1;
