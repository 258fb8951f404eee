-- name: held
SELECT p.id, p.model, p.version_id, p.status, p.input, p.source, p.created_at, p.started_at, p.completed_at,
       p.error, p.metrics, p.webhook, p.events, p.data_removed, p.kind, p.pool, p.deadline,
       p.account_id, p.origin, p.endpoint,
       o.closed_at IS NOT NULL OR o.ramp > 0 OR e.closed_at IS NOT NULL OR e.ramp > 0 OR e.paused_at IS NOT NULL
           OR e.held_until > $4,
       (SELECT max(c.sequence) FROM chunks c WHERE c.prediction_id = p.id),
       l.last_number, l.window_until, l.not_before, l.holder IS NOT NULL, l.fence
FROM predictions p LEFT JOIN lanes l ON l.prediction_id = p.id
LEFT JOIN endpoints o ON o.key = p.origin
LEFT JOIN endpoints e ON e.key = p.account_id || ' ' || p.endpoint
WHERE p.id = $1 AND p.holder = $2 AND p.run = $3;

-- name: of_account
SELECT p.id, p.model, p.version_id, p.status, p.input, p.source, p.created_at, p.started_at, p.completed_at,
       p.error, p.metrics, p.webhook, p.events, p.data_removed, p.kind, p.pool, p.deadline,
       p.account_id, p.origin, p.endpoint,
       o.closed_at IS NOT NULL OR o.ramp > 0 OR e.closed_at IS NOT NULL OR e.ramp > 0 OR e.paused_at IS NOT NULL
           OR e.held_until > $3,
       (SELECT max(c.sequence) FROM chunks c WHERE c.prediction_id = p.id),
       l.last_number, l.window_until, l.not_before, l.holder IS NOT NULL, l.fence
FROM predictions p LEFT JOIN lanes l ON l.prediction_id = p.id
LEFT JOIN endpoints o ON o.key = p.origin
LEFT JOIN endpoints e ON e.key = p.account_id || ' ' || p.endpoint
WHERE p.id = $1 AND p.account_id = $2;
