-- name: oldest_due
SELECT min(due_at) FROM lanes WHERE holder IS NULL AND due_at IS NOT NULL;

-- Origin by origin, past those that are closed: however much waits for one, it is one step.
-- name: oldest_ready
WITH RECURSIVE waiting (origin, place) AS (
    SELECT min(origin), 1 FROM lanes WHERE holder IS NULL AND due_at IS NOT NULL AND NOT shelved
    UNION ALL
    SELECT (SELECT min(l.origin) FROM lanes l
            WHERE l.origin > w.origin AND l.holder IS NULL AND l.due_at IS NOT NULL AND NOT l.shelved), w.place + 1
    FROM waiting w WHERE w.origin IS NOT NULL AND w.place < $1
)
SELECT min((SELECT min(l.due_at) FROM lanes l
            WHERE l.origin = w.origin AND l.holder IS NULL AND l.due_at IS NOT NULL AND NOT l.shelved))
FROM waiting w
WHERE w.origin IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM endpoints e WHERE e.key = w.origin AND e.closed_at IS NOT NULL);

-- name: closed
SELECT count(*) FROM endpoints WHERE closed_at > 0;

-- name: paused
SELECT count(*) FROM endpoints WHERE paused_at > 0;

-- name: queues
WITH RECURSIVE queues (version_id) AS (
    SELECT min(version_id) FROM predictions WHERE status IN ('starting', 'processing')
    UNION ALL
    SELECT (SELECT min(p.version_id) FROM predictions p
            WHERE p.status IN ('starting', 'processing') AND p.version_id > q.version_id)
    FROM queues q WHERE q.version_id IS NOT NULL
)
SELECT v.model, q.version_id FROM queues q JOIN versions v ON v.id = q.version_id;

-- name: open
SELECT count(*) FROM (SELECT 1 FROM predictions
                      WHERE version_id = $1 AND status IN ('starting', 'processing') LIMIT $2) AS queue;

-- name: held
SELECT count(holder) FROM (SELECT holder FROM predictions
                           WHERE version_id = $1 AND status IN ('starting', 'processing')
                           ORDER BY id LIMIT $2) AS front;
