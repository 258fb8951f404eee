-- name: add
INSERT INTO uploads (id, account_id, prediction_id, name, content_type, size, md5, sha256, metadata, created_at,
                     expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: get
SELECT id, account_id, prediction_id, name, content_type, size, md5, sha256, metadata, created_at, expires_at
FROM uploads WHERE id = $1 AND account_id = $2 AND (expires_at IS NULL OR expires_at > $3);

-- name: older
SELECT id, account_id, prediction_id, name, content_type, size, md5, sha256, metadata, created_at, expires_at
FROM uploads WHERE account_id = $1 AND prediction_id IS NULL AND id < $2 AND expires_at > $3
ORDER BY id DESC LIMIT $4;

-- name: newer
SELECT id, account_id, prediction_id, name, content_type, size, md5, sha256, metadata, created_at, expires_at
FROM uploads WHERE account_id = $1 AND prediction_id IS NULL AND id > $2 AND expires_at > $3
ORDER BY id ASC LIMIT $4;

-- name: keep
UPDATE uploads
SET expires_at = CASE WHEN prediction_id IS NOT NULL THEN NULL WHEN expires_at < $3 THEN $3 ELSE expires_at END
WHERE id = $1 AND account_id = $2 AND (expires_at IS NULL OR expires_at > $4);

-- name: remove
DELETE FROM uploads WHERE id = $1 AND account_id = $2 AND (expires_at IS NULL OR expires_at > $3);

-- name: expired
SELECT id FROM uploads WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2;

-- name: drop
DELETE FROM uploads WHERE id = $1;

-- name: ids
SELECT id FROM uploads;
