-- name: get
SELECT id, model, entry, openapi_schema, created_at FROM versions WHERE id = $1;

-- name: register
INSERT INTO versions (id, model, entry, openapi_schema, created_at, registered_at) VALUES ($1, $2, $3, $4, $5, $5)
ON CONFLICT (id) DO UPDATE SET registered_at = $5, entry = $3, openapi_schema = $4;

-- name: add_file
INSERT INTO version_files (version_id, path, mode, size, content, origin) VALUES ($1, $2, $3, $4, $5, $6);

-- name: drop_files
DELETE FROM version_files WHERE version_id = $1;

-- name: files
SELECT path, mode, size, content, origin FROM version_files WHERE version_id = $1 ORDER BY path;
