-- name: add
INSERT INTO files (id, prediction_id, name, content_type, size, created_at) VALUES ($1, $2, $3, $4, $5, $6);

-- name: get
SELECT id, prediction_id, name, content_type, size, created_at FROM files WHERE id = $1;

-- name: ids
SELECT id FROM files;
