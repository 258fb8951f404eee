-- name: add
INSERT INTO examples (model, prediction_id, added_at)
SELECT model, id, $2 FROM predictions WHERE id = $1 AND kind = 'prediction' AND status = 'succeeded'
ON CONFLICT (model, prediction_id) DO UPDATE SET added_at = $2
RETURNING model;

-- name: remove
DELETE FROM examples WHERE prediction_id = $1;

-- name: newest
SELECT prediction_id, added_at FROM examples WHERE model = $1 ORDER BY added_at DESC, prediction_id DESC LIMIT 1;

-- name: older
SELECT prediction_id, added_at FROM examples
WHERE model = $1 AND (added_at < $2 OR (added_at = $2 AND prediction_id < $3))
ORDER BY added_at DESC, prediction_id DESC LIMIT $4;

-- name: newer
SELECT prediction_id, added_at FROM examples
WHERE model = $1 AND (added_at > $2 OR (added_at = $2 AND prediction_id > $3))
ORDER BY added_at, prediction_id LIMIT $4;
