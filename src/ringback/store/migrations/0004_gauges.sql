-- What /metrics asks for at each scrape. Where all is well, nothing is in any of them: a lane that is granted at
-- once and acknowledged never touches the first.
CREATE INDEX lanes_oldest ON lanes (due_at) WHERE holder IS NULL AND due_at IS NOT NULL;
CREATE INDEX endpoints_closed ON endpoints (closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX endpoints_paused ON endpoints (paused_at) WHERE paused_at IS NOT NULL;
