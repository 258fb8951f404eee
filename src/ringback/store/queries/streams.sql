-- name: standing
SELECT status, error, run, streamed, data_removed FROM predictions WHERE id = $1;

-- name: since
SELECT sequence, kind, data FROM chunks WHERE prediction_id = $1 AND sequence >= $2 ORDER BY sequence LIMIT $3;

-- name: mark
UPDATE predictions SET streamed = TRUE WHERE id = $1 AND run = $2;
