-- name: any
SELECT 1 FROM endpoints LIMIT 1;

-- name: get
SELECT key, account_id, url, origin, serve_at, failures, scattered, failing_since, failed_at, diagnosis, closed_at,
       gap, probing, not_before, held_until, ramp, recovered_at, paused_at
FROM endpoints WHERE key = $1;

-- name: save
INSERT INTO endpoints (key, account_id, url, origin, serve_at, failures, scattered, failing_since, failed_at,
                       diagnosis, closed_at, gap, probing, not_before, held_until, ramp, recovered_at, paused_at,
                       changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
ON CONFLICT (key) DO UPDATE
SET serve_at = $5, failures = $6, scattered = $7, failing_since = $8, failed_at = $9, diagnosis = $10,
    closed_at = $11, gap = $12, probing = $13, not_before = $14, held_until = $15, ramp = $16, recovered_at = $17,
    paused_at = $18, changed_at = $19;

-- name: remove
DELETE FROM endpoints WHERE key = $1;

-- name: due
SELECT key, account_id, url, origin, serve_at, failures, scattered, failing_since, failed_at, diagnosis, closed_at,
       gap, probing, not_before, held_until, ramp, recovered_at, paused_at
FROM endpoints WHERE serve_at IS NOT NULL AND serve_at <= $1 ORDER BY serve_at LIMIT $2;

-- name: next
SELECT serve_at FROM endpoints WHERE serve_at IS NOT NULL ORDER BY serve_at LIMIT 1;

-- name: closed_of_origin
SELECT count(*) FROM (SELECT 1 FROM endpoints WHERE origin = $1 AND closed_at IS NOT NULL LIMIT $2) AS crowd;

-- name: all_closed
SELECT count(*) FROM (SELECT 1 FROM endpoints WHERE closed_at > 0 LIMIT $1) AS crowd;

-- name: forget_probes
UPDATE endpoints SET probing = FALSE, not_before = $1, serve_at = CASE WHEN serve_at IS NULL THEN NULL ELSE $1 END
WHERE probing AND key NOT IN (
    SELECT e.key FROM lanes l JOIN endpoints e ON e.key IN (l.origin, l.endpoint)
    JOIN deliveries d ON d.prediction_id = l.prediction_id
    WHERE l.holder IS NOT NULL AND d.status = 'pending' AND d.attempted_at >= e.closed_at);

-- name: let_go
UPDATE endpoints SET serve_at = $2
WHERE key IN (SELECT key FROM endpoints
              WHERE origin = $1 AND serve_at > $2 AND closed_at IS NULL AND paused_at IS NULL AND held_until <= $2
                AND (failed_at IS NULL OR failed_at < $3)
              ORDER BY serve_at LIMIT $4);

-- name: probe_more
UPDATE endpoints SET serve_at = $2, not_before = CASE WHEN closed_at < $2 THEN $2 ELSE closed_at + 1 END
WHERE key IN (SELECT key FROM endpoints
              WHERE origin = $1 AND serve_at > $2 AND closed_at IS NOT NULL AND NOT probing AND paused_at IS NULL
                AND held_until <= $2
              ORDER BY serve_at LIMIT $3);

-- name: shelf_waits
SELECT 1 FROM endpoints e
WHERE origin = $1 AND serve_at IS NOT NULL AND closed_at IS NULL AND paused_at IS NULL AND held_until <= $3
  AND (failed_at IS NULL OR failed_at < $2)
  AND EXISTS (SELECT 1 FROM lanes l
              WHERE l.endpoint = e.key AND l.holder IS NULL AND l.shelved AND l.failed_at IS NOT NULL
                AND l.failed_at < $2)
LIMIT 1;

-- name: put_off
UPDATE endpoints SET serve_at = $3
WHERE key IN (SELECT key FROM endpoints WHERE origin = $1 AND serve_at <= $2 ORDER BY serve_at LIMIT $4);

-- name: closed
SELECT key, account_id, url, origin, serve_at, failures, scattered, failing_since, failed_at, diagnosis, closed_at,
       gap, probing, not_before, held_until, ramp, recovered_at, paused_at
FROM endpoints WHERE closed_at IS NOT NULL AND key > $1 ORDER BY key LIMIT $2;

-- name: forget_idle
DELETE FROM endpoints WHERE key IN (
    SELECT key FROM endpoints e
    WHERE changed_at < $1 AND paused_at IS NULL AND serve_at IS NULL AND held_until <= $3
      AND (account_id <> '' OR NOT EXISTS (
          SELECT 1 FROM lanes l
          WHERE l.origin = e.origin AND l.holder IS NULL AND l.due_at IS NOT NULL AND NOT l.shelved))
    LIMIT $2);

-- name: waits
SELECT 1 FROM lanes
WHERE origin = $1 AND holder IS NULL AND NOT shelved AND failed_at IS NOT NULL AND failed_at < $2 LIMIT 1;
