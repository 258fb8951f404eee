-- name: walk
SELECT d.created_at, p.id, d.number, d.event, d.status, p.endpoint, TRUE
FROM predictions p LEFT JOIN deliveries d ON d.prediction_id = p.id
WHERE p.account_id = $1 AND p.id >= $2 AND p.id <= $3 AND (p.id < $3 OR d.number < $4)
ORDER BY p.id DESC, d.number DESC LIMIT $5;

-- name: walk_pending
SELECT d.created_at, d.prediction_id, d.number, d.event, d.status, p.endpoint, p.account_id = $1
FROM deliveries d CROSS JOIN predictions p
WHERE d.status = 'pending' AND d.prediction_id >= $2 AND (d.prediction_id, d.number) < ($3, $4)
  AND p.id = d.prediction_id
ORDER BY d.prediction_id DESC, d.number DESC LIMIT $5;

-- name: walk_dead
SELECT d.created_at, d.prediction_id, d.number, d.event, d.status, p.endpoint, p.account_id = $1
FROM deliveries d CROSS JOIN predictions p
WHERE d.status = 'dead' AND d.created_at >= $2 AND (d.created_at, d.prediction_id, d.number) < ($3, $4, $5)
  AND p.id = d.prediction_id
ORDER BY d.created_at DESC, d.prediction_id DESC, d.number DESC LIMIT $6;

-- name: shown
SELECT d.prediction_id, d.number, d.event, d.status, p.endpoint, p.origin, d.attempts, d.created_at, d.settled_at,
       d.asked_at, d.digest, d.length, d.due_at, l.due_at, l.holder IS NOT NULL,
       (SELECT min(h.number) FROM deliveries h
        WHERE h.prediction_id = d.prediction_id AND h.status = 'pending'),
       a.attempt, a.started_at, a.duration, a.cause, a.status, a.diagnosis, a.asked, d.reason
FROM deliveries d CROSS JOIN predictions p
LEFT JOIN lanes l ON l.prediction_id = d.prediction_id
LEFT JOIN attempts a ON a.prediction_id = d.prediction_id AND a.number = d.number
     AND a.attempt = (SELECT max(m.attempt) FROM attempts m
                      WHERE m.prediction_id = d.prediction_id AND m.number = d.number)
WHERE d.prediction_id = $1 AND d.number = $2 AND p.id = d.prediction_id AND p.account_id = $3;

-- name: body
SELECT d.body, p.webhook FROM deliveries d CROSS JOIN predictions p
WHERE d.prediction_id = $1 AND d.number = $2 AND p.id = d.prediction_id;

-- name: history
SELECT attempt, started_at, duration, cause, status, diagnosis, asked, excerpt, resent FROM attempts
WHERE prediction_id = $1 AND number = $2 ORDER BY attempt DESC LIMIT $3;

-- name: special
SELECT url FROM endpoints WHERE account_id = $1 AND url > $2 ORDER BY url LIMIT $3;

-- name: paused
SELECT count(*) FROM (SELECT 1 FROM endpoints WHERE account_id = $1 AND paused_at IS NOT NULL LIMIT $2) AS bounded;

-- name: used
SELECT endpoint, origin, max(id)
FROM (SELECT id, endpoint, origin FROM predictions WHERE account_id = $1 ORDER BY id DESC LIMIT $2) AS latest
WHERE endpoint IS NOT NULL GROUP BY endpoint, origin ORDER BY max(id) DESC LIMIT $3;

-- name: owed
SELECT DISTINCT p.endpoint, p.origin
FROM (SELECT prediction_id FROM deliveries WHERE status = 'pending' ORDER BY prediction_id LIMIT $2) AS oldest
CROSS JOIN predictions p WHERE p.id = oldest.prediction_id AND p.account_id = $1 LIMIT $3;

-- name: dead
SELECT p.endpoint, p.origin, count(*)
FROM (SELECT prediction_id FROM deliveries WHERE status = 'dead'
      ORDER BY created_at DESC, prediction_id DESC, number DESC LIMIT $2) AS newest
CROSS JOIN predictions p WHERE p.id = newest.prediction_id AND p.account_id = $1
GROUP BY p.endpoint, p.origin;

-- name: dead_in_all
SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE status = 'dead' LIMIT $1) AS bounded;

-- name: shelved
SELECT count(*) FROM (SELECT 1 FROM lanes WHERE endpoint = $1 AND holder IS NULL AND shelved LIMIT $2) AS bounded;

-- name: unshelved
SELECT endpoint, count(*)
FROM (SELECT endpoint FROM lanes WHERE origin = $1 AND holder IS NULL AND due_at IS NOT NULL AND NOT shelved
      ORDER BY due_at LIMIT $2) AS first
GROUP BY endpoint;
