-- Migration step 2: whose failure each attempt was, what the client itself had tried before, and alerts.
-- SQLite keeps what stands between ADD COLUMN and the semicolon, so these comments stay in `.schema` too.

UPDATE fault_kind SET blame = CASE
  WHEN fault IN ('rate_limited', 'quota', 'auth', 'permission') THEN 'key'
  WHEN fault = 'content_filter' THEN 'policy'
  WHEN blame = 'client' THEN 'caller'
  ELSE blame
END;

ALTER TABLE attempt ADD COLUMN
  blame TEXT /* whose failure it was: caller, policy, transport, provider, model, key or ourselves; NULL for none */;
ALTER TABLE request ADD COLUMN
  client_retry INTEGER /* how often the client itself had tried before (x-stainless-retry-count), NULL if unsaid */;

CREATE TABLE alert (
  -- One row per alert: what an operator should know of at once.
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- grows in the order of writing, never used twice: a cursor
  at_ms INTEGER NOT NULL, -- when, Unix milliseconds
  at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch')) VIRTUAL, -- at_ms, ISO 8601, UTC
  kind TEXT NOT NULL, -- total_failure, fallback_rate or credential
  workload TEXT, -- which workload, NULL where it concerns a target
  target TEXT, -- which target, NULL where it concerns a workload
  message TEXT NOT NULL -- what happened, in words
) STRICT;
CREATE INDEX alert_at ON alert (at_ms);
