-- name: target
SELECT account_id, origin, endpoint FROM predictions WHERE id = $1;

-- name: claim
UPDATE predictions SET holder = $3, run = run + 1
WHERE id IN (SELECT id FROM predictions
             WHERE version_id = $1 AND pool = $2 AND holder IS NULL AND status IN ('starting', 'processing')
             ORDER BY id LIMIT $4)
RETURNING id, input, run, account_id, origin, endpoint, events, status, kind;

-- name: count_runs
UPDATE models SET run_count = run_count + $2 WHERE name = (SELECT model FROM versions WHERE id = $1);

-- name: waiting
SELECT DISTINCT version_id, pool FROM predictions
WHERE holder IS NULL AND status IN ('starting', 'processing');

-- name: count_waiting
SELECT count(*) FROM (SELECT 1 FROM predictions
                      WHERE version_id = $1 AND pool = $2 AND holder IS NULL
                        AND status IN ('starting', 'processing') LIMIT $3) AS queue;

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
SELECT 1 FROM deliveries WHERE prediction_id = $1 AND event IN ('output', 'logs') AND attempts > 0
UNION ALL SELECT 1 FROM predictions WHERE id = $1 AND streamed LIMIT 1;

-- name: next_deadline
SELECT min(deadline) FROM predictions WHERE deadline IS NOT NULL AND status IN ('starting', 'processing');

-- name: overdue
SELECT account_id, id FROM predictions
WHERE deadline <= $1 AND deadline IS NOT NULL AND status IN ('starting', 'processing') ORDER BY deadline LIMIT $2;
