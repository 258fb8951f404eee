-- name: append
INSERT INTO chunks (prediction_id, sequence, kind, data) VALUES ($1, $2, $3, $4);

-- name: upto
SELECT kind, data FROM chunks WHERE prediction_id = $1 AND sequence <= $2 ORDER BY sequence;

-- name: all
SELECT kind, data FROM chunks WHERE prediction_id = $1 ORDER BY sequence;

-- name: forget
DELETE FROM chunks WHERE prediction_id = $1;
