-- name: target
SELECT training.version_id, training.destination FROM predictions AS training
JOIN models ON models.name = training.destination
WHERE training.id = $1;

-- name: register
INSERT INTO versions (id, model, entry, openapi_schema, created_at, registered_at, train, weights)
SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), entry, openapi_schema, CAST($3 AS BIGINT), CAST($3 AS BIGINT), train,
    CAST($4 AS TEXT)
FROM versions WHERE id = $5;

-- name: copy_files
INSERT INTO version_files (version_id, path, mode, size, content, origin)
SELECT CAST($1 AS TEXT), path, mode, size, content, origin FROM version_files WHERE version_id = $2;
