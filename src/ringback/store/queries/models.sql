-- name: register
INSERT INTO models (name, account_id, made_by, settings, hardware, created_at) VALUES ($1, '', $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE SET account_id = '', visibility = 'public', made_by = $2, settings = $3, hardware = $4,
    served = TRUE;

-- name: account
SELECT account_id FROM models WHERE name = $1;

-- name: withdraw
UPDATE models SET served = FALSE WHERE name = $1;

-- name: configured
SELECT name FROM models WHERE made_by = 'configuration' AND served;

-- name: commanded
SELECT name, settings FROM models WHERE made_by = 'command' AND served ORDER BY name;

-- name: create
INSERT INTO models (name, account_id, made_by, visibility, hardware, description, github_url, paper_url, license_url,
                    cover_image_url, created_at)
VALUES ($1, $2, 'api', $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (name) DO NOTHING;

-- name: count
SELECT count(*) FROM models WHERE account_id = $1;

-- name: get
SELECT name, account_id, made_by, visibility, hardware, description, github_url, paper_url, weights_url, license_url,
       cover_image_url, run_count, created_at
FROM models WHERE name = $1 AND served AND (visibility = 'public' OR account_id = $2);

-- name: hardware
SELECT hardware FROM models WHERE name = $1;

-- name: readme
SELECT readme FROM models WHERE name = $1;

-- name: update
UPDATE models SET description = $2, readme = $3, github_url = $4, paper_url = $5, weights_url = $6, license_url = $7
WHERE name = $1;

-- name: delete
DELETE FROM models WHERE name = $1;

-- name: forget_examples
DELETE FROM examples WHERE model = $1;

-- name: has_training
SELECT 1 FROM predictions
WHERE pool = 'train' AND destination = $1 AND status IN ('starting', 'processing') LIMIT 1;

-- name: deployed
SELECT 1 FROM deployments WHERE model = $1 LIMIT 1;

-- name: following
SELECT name, place FROM (
    SELECT name, $3 * (CASE $2 WHEN 'made' THEN created_at
                       ELSE coalesce((SELECT max(registered_at) FROM versions
                                      WHERE model = models.name AND NOT removed), 0) END) AS place
    FROM models WHERE served AND (visibility = 'public' OR account_id = $1)) AS visible
WHERE place > $4 OR (place = $4 AND name > $5)
ORDER BY place, name LIMIT $6;

-- name: preceding
SELECT name, place FROM (
    SELECT name, $3 * (CASE $2 WHEN 'made' THEN created_at
                       ELSE coalesce((SELECT max(registered_at) FROM versions
                                      WHERE model = models.name AND NOT removed), 0) END) AS place
    FROM models WHERE served AND (visibility = 'public' OR account_id = $1)) AS visible
WHERE place < $4 OR (place = $4 AND name < $5)
ORDER BY place DESC, name DESC LIMIT $6;

-- name: texts
SELECT name, coalesce(description, '') FROM models
WHERE name > $2 AND served AND (visibility = 'public' OR account_id = $1) ORDER BY name LIMIT $3;
