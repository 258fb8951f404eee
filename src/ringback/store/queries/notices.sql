-- name: add
INSERT INTO notices (id, type, subject, data, due_at, created_at, count) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (type, subject) WHERE attempts = 0 DO UPDATE SET count = notices.count + $7, data = $4;

-- name: due
UPDATE notices SET attempts = attempts + 1, due_at = $2
WHERE id IN (SELECT id FROM notices
             WHERE (type = 'deliveries.dead') = $4 AND due_at <= $1 ORDER BY due_at LIMIT $3)
RETURNING id, type, subject, data, count, attempts, created_at;

-- name: next
SELECT due_at FROM notices ORDER BY due_at LIMIT 1;

-- name: postpone
UPDATE notices SET due_at = $2 WHERE id = $1;

-- name: remove
DELETE FROM notices WHERE id = $1;
