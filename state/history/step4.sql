-- Migration step 4: what attempts cost and who is charged for them; what was reserved, spent and saved; answers that were
-- only compared; answers that a person is to look at.
-- SQLite keeps what stands between ADD COLUMN and the semicolon, so these comments stay in `.schema` too.

ALTER TABLE attempt ADD COLUMN
  workload TEXT NOT NULL DEFAULT '' /* what the client addressed; '' in rows from before version 4 */;
ALTER TABLE attempt ADD COLUMN
  team TEXT /* who is charged */;
ALTER TABLE attempt ADD COLUMN
  user TEXT /* who is charged */;
ALTER TABLE attempt ADD COLUMN
  purpose TEXT NOT NULL DEFAULT 'client' /* client, shadow (only compared) or classify (fairlead's own question) */;
ALTER TABLE attempt ADD COLUMN
  prompt_tokens INTEGER /* as the provider counted, those from its cache included */;
ALTER TABLE attempt ADD COLUMN
  completion_tokens INTEGER /* as the provider counted */;
ALTER TABLE attempt ADD COLUMN
  cached_tokens INTEGER /* of the prompt's tokens, those that came from the provider's cache */;
ALTER TABLE attempt ADD COLUMN
  cache_write_tokens INTEGER /* of the prompt's tokens, those that the provider's cache was filled with */;
ALTER TABLE attempt ADD COLUMN
  cost_usd REAL /* by the provider's counts and its prices then; NULL where unknown, never 0 for unknown */;
ALTER TABLE attempt ADD COLUMN
  cost_estimated INTEGER NOT NULL DEFAULT 0 CHECK (cost_estimated IN (0, 1)) /* 1 where the provider counted nothing */;

ALTER TABLE request ADD COLUMN
  purpose TEXT NOT NULL DEFAULT 'client' /* client, shadow (only compared) or classify (fairlead's own question) */;
ALTER TABLE request ADD COLUMN
  label TEXT /* what routing took it for: a tier, a task, canary; NULL where it did not look */;
ALTER TABLE request ADD COLUMN
  cached_tokens INTEGER /* of the prompt's tokens, those that came from the provider's cache */;
ALTER TABLE request ADD COLUMN
  best_usd REAL /* what the same tokens would have cost at the workload's costliest target; NULL where unknown */;
CREATE INDEX request_saving ON request (id) WHERE best_usd IS NOT NULL;

ALTER TABLE fallback ADD COLUMN
  cost_usd REAL /* what the target that was left had cost by then: the price of an escalation; NULL where unknown */;

CREATE TABLE reservation (
  -- One row per attempt that money was set aside for before it was made; those without an attempt were killed with it.
  request_id TEXT NOT NULL, -- the request
  number INTEGER NOT NULL, -- which attempt of it
  at_ms INTEGER NOT NULL, -- when, Unix milliseconds
  at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch')) VIRTUAL, -- at_ms, ISO 8601, UTC
  target TEXT NOT NULL, -- provider/model
  workload TEXT NOT NULL, -- what the client addressed
  team TEXT, -- who is charged
  user TEXT, -- who is charged
  purpose TEXT NOT NULL DEFAULT 'client', -- as in attempt
  usd REAL NOT NULL CHECK (usd >= 0), -- how much
  PRIMARY KEY (request_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE budget (
  -- One row per limit in dollars, whom it counts apart, and period: how it stands, written down as it changes.
  name TEXT NOT NULL, -- the limit, as in [limits.NAME]
  subject TEXT NOT NULL, -- whose it is: a user, a team, a workload; '' where all share it
  period TEXT NOT NULL CHECK (period IN ('day', 'month')), -- how often it starts anew
  from_ms INTEGER NOT NULL, -- when the period began, Unix milliseconds
  to_ms INTEGER NOT NULL, -- when it ends, Unix milliseconds
  limit_usd REAL NOT NULL, -- how much may be spent in it
  spent_usd REAL NOT NULL, -- how much was
  reserved_usd REAL NOT NULL, -- how much is set aside for attempts under way
  at_ms INTEGER NOT NULL, -- when this was so, Unix milliseconds
  at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch')) VIRTUAL, -- at_ms, ISO 8601, UTC
  PRIMARY KEY (name, subject, period)
) STRICT, WITHOUT ROWID;

CREATE TABLE spend (
  -- Roll-up by the quarter of an hour (every time zone's days begin with one), kept 400 days: what attempts cost.
  quarter_ms INTEGER NOT NULL, -- its beginning, Unix milliseconds
  workload TEXT NOT NULL, -- what the client addressed
  team TEXT NOT NULL, -- who is charged, '' for nobody in particular
  user TEXT NOT NULL, -- who is charged, '' for nobody in particular
  target TEXT NOT NULL, -- provider/model
  purpose TEXT NOT NULL, -- as in attempt
  n INTEGER NOT NULL, -- attempts
  unpriced INTEGER NOT NULL, -- those of them whose cost is unknown though something was answered
  prompt_tokens INTEGER NOT NULL, -- as the providers counted
  completion_tokens INTEGER NOT NULL, -- as the providers counted
  usd REAL NOT NULL, -- what those of known cost cost
  PRIMARY KEY (quarter_ms, workload, team, user, target, purpose)
) STRICT, WITHOUT ROWID;

CREATE TABLE saving (
  -- Roll-up by the quarter of an hour, kept 400 days: what requests cost, and would have at the costliest target.
  quarter_ms INTEGER NOT NULL, -- its beginning, Unix milliseconds
  workload TEXT NOT NULL, -- what the client addressed
  team TEXT NOT NULL, -- who is charged, '' for nobody in particular
  n INTEGER NOT NULL, -- requests of which both are known
  usd REAL NOT NULL, -- what they cost
  best_usd REAL NOT NULL, -- what they would have cost
  PRIMARY KEY (quarter_ms, workload, team)
) STRICT, WITHOUT ROWID;
INSERT INTO rollup_mark (source, last_id) SELECT 'request', coalesce(max(id), 0) FROM request;

CREATE TABLE comparison (
  -- One row per request of which a copy went to another target, whose answer was only compared and never sent.
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- grows in the order of writing, never used twice: a cursor
  at_ms INTEGER NOT NULL, -- when both had ended, Unix milliseconds
  at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch')) VIRTUAL, -- at_ms, ISO 8601, UTC
  request_id TEXT NOT NULL, -- the request that was answered
  shadow_request_id TEXT NOT NULL, -- its copy, a request of purpose shadow
  workload TEXT NOT NULL, -- what the client addressed
  target TEXT, -- who answered
  shadow_target TEXT NOT NULL, -- who was compared
  outcome TEXT NOT NULL, -- of the request
  shadow_outcome TEXT NOT NULL, -- of the copy
  latency_ms REAL, shadow_latency_ms REAL, -- to their ends
  cost_usd REAL, shadow_cost_usd REAL, -- NULL where unknown
  length INTEGER, shadow_length INTEGER, -- characters of the answers' texts
  refused INTEGER, shadow_refused INTEGER -- 1 where the text declines to do what was asked
) STRICT;
CREATE INDEX comparison_at ON comparison (at_ms);

CREATE TABLE review (
  -- One row per answer that a person is to look at. Of its text there is only the hash.
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- grows in the order of writing, never used twice: a cursor
  at_ms INTEGER NOT NULL, -- when it was given, Unix milliseconds
  at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch')) VIRTUAL, -- at_ms, ISO 8601, UTC
  request_id TEXT NOT NULL UNIQUE, -- the request
  workload TEXT NOT NULL, -- what the client addressed
  target TEXT, -- who answered
  team TEXT, -- who asked
  user TEXT, -- who asked
  sha256 TEXT NOT NULL -- of the answer's body as it was sent
) STRICT;
CREATE INDEX review_at ON review (at_ms);

CREATE TABLE verdict (
  -- One row per look that a person had at such an answer; the first one of each request holds.
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- grows in the order of writing, never used twice: a cursor
  at_ms INTEGER NOT NULL, -- when, Unix milliseconds
  at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch')) VIRTUAL, -- at_ms, ISO 8601, UTC
  request_id TEXT NOT NULL UNIQUE, -- the request
  verdict TEXT NOT NULL CHECK (verdict IN ('approved', 'rejected')), -- what it came to
  by TEXT NOT NULL, -- who looked
  reason TEXT NOT NULL DEFAULT '' -- why, in their words
) STRICT;
CREATE INDEX verdict_at ON verdict (at_ms);
