-- name: get
SELECT id, model, entry, openapi_schema, created_at, train, weights FROM versions WHERE id = $1;

-- name: shown
SELECT id, model, entry, openapi_schema, created_at, train, weights FROM versions
WHERE id = $1 AND model = $2 AND NOT removed;

-- name: may_run
SELECT 1 FROM versions JOIN models ON models.name = versions.model
WHERE versions.id = $2 AND NOT versions.removed AND models.served
  AND (models.visibility = 'public' OR models.account_id = $1);

-- name: latest
SELECT id, model, entry, openapi_schema, created_at, train, weights FROM versions
WHERE model = $1 AND NOT removed ORDER BY registered_at DESC, id DESC LIMIT 1;

-- name: configured
SELECT id FROM versions WHERE model = $1 AND weights = '' AND NOT removed
ORDER BY registered_at DESC, id DESC LIMIT 1;

-- name: older
SELECT id, registered_at FROM versions
WHERE model = $1 AND NOT removed AND (registered_at < $2 OR (registered_at = $2 AND id < $3))
ORDER BY registered_at DESC, id DESC LIMIT $4;

-- name: newer
SELECT id, registered_at FROM versions
WHERE model = $1 AND NOT removed AND (registered_at > $2 OR (registered_at = $2 AND id > $3))
ORDER BY registered_at, id LIMIT $4;

-- name: register
INSERT INTO versions (id, model, entry, openapi_schema, created_at, registered_at, train, weights)
VALUES ($1, $2, $3, $4, $5, $5, $6, $7)
ON CONFLICT (id) DO UPDATE SET model = $2, entry = $3, openapi_schema = $4, train = $6, removed = FALSE,
    registered_at = CASE
        WHEN versions.removed OR versions.model <> $2 OR EXISTS (
            SELECT 1 FROM versions AS other
            WHERE other.model = $2 AND other.weights = '' AND NOT other.removed
              AND other.registered_at > versions.registered_at)
        THEN $5 ELSE versions.registered_at END;

-- name: remove
UPDATE versions SET removed = TRUE WHERE id = $1;

-- name: waiting
SELECT 1 FROM predictions WHERE version_id = $1 AND status IN ('starting', 'processing') LIMIT 1;

-- name: deployed
SELECT name FROM deployments WHERE version_id = $1 LIMIT 1;

-- name: add_file
INSERT INTO version_files (version_id, path, mode, size, content, origin) VALUES ($1, $2, $3, $4, $5, $6);

-- name: drop_files
DELETE FROM version_files WHERE version_id = $1;

-- name: files
SELECT path, mode, size, content, origin FROM version_files WHERE version_id = $1 ORDER BY path;

-- name: file
SELECT content FROM version_files WHERE version_id = $1 AND path = $2;
