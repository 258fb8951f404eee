-- name: standing
SELECT status, error, run, streamed, data_removed FROM predictions WHERE id = $1;

-- name: reach
WITH RECURSIVE walk (sequence, count, size) AS (
    SELECT $2, 0, 0
    UNION ALL
    SELECT chunks.sequence, walk.count + 1, walk.size + length(chunks.data) FROM walk JOIN chunks
    ON chunks.prediction_id = $1 AND chunks.sequence = walk.sequence + 1
    WHERE walk.count < $3 AND walk.size <= $4
)
SELECT max(CASE WHEN count <= 1 OR size <= $4 THEN sequence END), max(count), max(size) FROM walk;

-- name: since
SELECT sequence, kind, data FROM chunks WHERE prediction_id = $1 AND sequence > $2 AND sequence <= $3
ORDER BY sequence;

-- name: mark
UPDATE predictions SET streamed = TRUE WHERE id = $1 AND run = $2;
