-- name: latest
SELECT max(seen) FROM (
    SELECT max(CASE WHEN attempts = 0 THEN due_at ELSE attempted_at END) AS seen FROM deliveries
    WHERE status = 'pending'
    UNION ALL SELECT max(changed_at) FROM endpoints
    UNION ALL SELECT 0
) AS times;

-- A wait keeps what was left of it and ends no later than now if that is nothing; a moment is moved as it is.

-- name: lanes_back
UPDATE lanes
SET due_at = CASE WHEN due_at > $1 + $2 THEN due_at - $2 WHEN due_at > $1 THEN $1 ELSE due_at END,
    window_until = CASE WHEN window_until > $1 + $2 THEN window_until - $2
                        WHEN window_until > $1 THEN $1 ELSE window_until END,
    not_before = CASE WHEN not_before > $1 + $2 THEN not_before - $2 WHEN not_before > $1 THEN $1 ELSE not_before END,
    failed_at = CASE WHEN failed_at > $1 THEN failed_at - $2 ELSE failed_at END
WHERE due_at > $1 OR window_until > $1 OR not_before > $1 OR failed_at > $1;

-- name: deliveries_back
UPDATE deliveries
SET due_at = CASE WHEN due_at > $1 + $2 THEN due_at - $2 WHEN due_at > $1 THEN $1 ELSE due_at END,
    first_at = CASE WHEN first_at > $1 THEN first_at - $2 ELSE first_at END,
    attempted_at = CASE WHEN attempted_at > $1 THEN attempted_at - $2 ELSE attempted_at END,
    asked_at = CASE WHEN asked_at > $1 THEN asked_at - $2 ELSE asked_at END
WHERE status = 'pending' AND (due_at > $1 OR first_at > $1 OR attempted_at > $1 OR asked_at > $1);

-- name: endpoints_back
UPDATE endpoints
SET serve_at = CASE WHEN serve_at > $1 + $2 THEN serve_at - $2 WHEN serve_at > $1 THEN $1 ELSE serve_at END,
    not_before = CASE WHEN not_before > $1 + $2 THEN not_before - $2 WHEN not_before > $1 THEN $1 ELSE not_before END,
    held_until = CASE WHEN held_until > $1 + $2 THEN held_until - $2 WHEN held_until > $1 THEN $1 ELSE held_until END,
    failing_since = CASE WHEN failing_since > $1 THEN failing_since - $2 ELSE failing_since END,
    failed_at = CASE WHEN failed_at > $1 THEN failed_at - $2 ELSE failed_at END,
    closed_at = CASE WHEN closed_at > $1 THEN closed_at - $2 ELSE closed_at END,
    recovered_at = CASE WHEN recovered_at > $1 THEN recovered_at - $2 ELSE recovered_at END,
    paused_at = CASE WHEN paused_at > $1 THEN paused_at - $2 ELSE paused_at END,
    changed_at = CASE WHEN changed_at > $1 THEN changed_at - $2 ELSE changed_at END
WHERE changed_at > $1 OR serve_at > $1 OR not_before > $1 OR held_until > $1;

-- name: notices_back
UPDATE notices SET due_at = CASE WHEN due_at > $1 + $2 THEN due_at - $2 ELSE $1 END WHERE due_at > $1;
