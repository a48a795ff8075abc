-- The history of one fairlead daemon, as it stands after migration step 1.
-- Prompt and answer text is never stored. The comments inside the statements survive in `.schema`.

CREATE TABLE run (
  -- One row per start of the daemon. A row without ended_ms that is not the running one: it was killed, or crashed.
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- grows in the order of writing, never used twice: a cursor
  at_ms INTEGER NOT NULL, -- when it began to write, Unix milliseconds
  at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch')) VIRTUAL, -- at_ms, ISO 8601, UTC
  pid INTEGER NOT NULL, -- its process
  ended_ms INTEGER, -- when it ended cleanly, with every row written; NULL while it runs, and for ever after a crash
  UNIQUE (at_ms, pid)
) STRICT;

CREATE TABLE probe (
  -- One row per active check that was made.
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- grows in the order of writing, never used twice: a cursor
  at_ms INTEGER NOT NULL, -- when it ended, Unix milliseconds
  at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch')) VIRTUAL, -- at_ms, ISO 8601, UTC
  target TEXT NOT NULL, -- provider/model
  kind TEXT NOT NULL CHECK (kind IN ('liveness', 'catalog', 'canary')), -- what was checked
  outcome TEXT NOT NULL CHECK (outcome IN ('ok', 'failed', 'cut', 'cancelled')), -- how it ended
  fault TEXT, -- the kind of fault, see fault_kind; NULL where it succeeded
  status INTEGER, -- the provider's HTTP status, NULL where none arrived
  reason TEXT NOT NULL DEFAULT '', -- one line that says why
  first_byte_ms REAL, -- from sending to the first content byte
  latency_ms REAL NOT NULL CHECK (latency_ms >= 0), -- from sending to the end
  retry_after_ms REAL, -- how long the provider asked to wait
  cost_usd REAL, -- what it cost, NULL where nothing or unknown
  CHECK ((fault IS NULL) = (outcome = 'ok'))
) STRICT;
CREATE INDEX probe_at ON probe (at_ms);
CREATE INDEX probe_target ON probe (target, at_ms);

CREATE TABLE request (
  -- One row per client request, written when it has ended.
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- grows in the order of writing, never used twice: a cursor
  at_ms INTEGER NOT NULL, -- when it arrived, Unix milliseconds
  at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch')) VIRTUAL, -- at_ms, ISO 8601, UTC
  request_id TEXT NOT NULL, -- as in the header x-request-id
  workload TEXT NOT NULL, -- what the client addressed
  primary_target TEXT, -- what would have been chosen were every target ready and free
  served_by TEXT, -- the target whose answer the client got, NULL where it got none
  attempts INTEGER NOT NULL CHECK (attempts >= 0), -- how many targets were tried
  outcome TEXT NOT NULL CHECK (outcome IN ('ok', 'cancelled', 'cut', 'failed', 'refused')), -- how it ended for the client
  fault TEXT, -- the last fault, see fault_kind; NULL where it succeeded
  status INTEGER NOT NULL, -- the HTTP status that the client got
  degraded TEXT, -- cache, static or fallback where the answer was degraded, else NULL
  streamed INTEGER NOT NULL CHECK (streamed IN (0, 1)), -- whether the answer was a stream
  first_byte_ms REAL, -- from its arrival to the first content byte
  latency_ms REAL NOT NULL CHECK (latency_ms >= 0), -- from its arrival to its end
  prompt_tokens INTEGER, -- as the provider counted
  completion_tokens INTEGER, -- as the provider counted
  cost_usd REAL, -- NULL where unknown, never 0 for unknown
  team TEXT, -- on whose behalf
  user TEXT -- on whose behalf
) STRICT;
CREATE INDEX request_at ON request (at_ms, latency_ms);
CREATE INDEX request_request_id ON request (request_id);

CREATE TABLE attempt (
  -- One row per try of a request at one target, written when it has ended.
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- grows in the order of writing, never used twice: a cursor
  at_ms INTEGER NOT NULL, -- when it ended, Unix milliseconds
  at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch')) VIRTUAL, -- at_ms, ISO 8601, UTC
  request_id TEXT NOT NULL, -- the request that it belongs to
  number INTEGER NOT NULL CHECK (number >= 1), -- 1 for the request's first attempt
  target TEXT NOT NULL, -- provider/model
  outcome TEXT NOT NULL CHECK (outcome IN ('ok', 'failed', 'cut', 'cancelled')), -- how it ended
  fault TEXT, -- the kind of fault, see fault_kind; NULL where it succeeded
  status INTEGER, -- the provider's HTTP status, NULL where none arrived
  reason TEXT NOT NULL DEFAULT '', -- one line that says why
  streamed INTEGER NOT NULL CHECK (streamed IN (0, 1)), -- whether the answer was a stream
  first_byte_ms REAL, -- from sending to the first content byte
  latency_ms REAL NOT NULL CHECK (latency_ms >= 0), -- from sending to the end
  retry_after_ms REAL, -- how long the provider asked to wait
  CHECK ((fault IS NULL) = (outcome = 'ok'))
) STRICT;
CREATE INDEX attempt_at ON attempt (at_ms);
CREATE INDEX attempt_target ON attempt (target, at_ms);
CREATE INDEX attempt_request_id ON attempt (request_id);

CREATE TABLE decision (
  -- One row per choice of a target, enough to make it again. Kept for 7 days, and sampled above a rate.
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- grows in the order of writing, never used twice: a cursor
  at_ms INTEGER NOT NULL, -- when it was made, Unix milliseconds
  at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch')) VIRTUAL, -- at_ms, ISO 8601, UTC
  request_id TEXT NOT NULL, -- the request that it was made for
  number INTEGER NOT NULL CHECK (number >= 1), -- which attempt it was for
  chosen TEXT, -- the target, NULL where none could be chosen
  strategy TEXT NOT NULL, -- how the workload orders its targets
  reason TEXT NOT NULL, -- why this one, in one line
  candidates TEXT NOT NULL, -- JSON: each candidate's score and its terms, or why it was skipped
  seed INTEGER NOT NULL, -- the seed of what was random in it
  sampled_of INTEGER NOT NULL DEFAULT 1 CHECK (sampled_of >= 1) -- how many choices this row stands for, itself included
) STRICT;
CREATE INDEX decision_at ON decision (at_ms);
CREATE INDEX decision_request_id ON decision (request_id);

CREATE TABLE fallback (
  -- One row per step from a target that failed, or was skipped, to the next.
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- grows in the order of writing, never used twice: a cursor
  at_ms INTEGER NOT NULL, -- when the step was made, Unix milliseconds
  at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch')) VIRTUAL, -- at_ms, ISO 8601, UTC
  request_id TEXT NOT NULL, -- the request
  workload TEXT NOT NULL, -- what the client addressed
  from_target TEXT NOT NULL, -- the target that was left
  to_target TEXT NOT NULL, -- the target that was taken instead
  fault TEXT, -- why, see fault_kind; NULL where the target was skipped
  status INTEGER, -- the HTTP status of the target that was left
  reason TEXT NOT NULL, -- why, in one line
  after_ms REAL NOT NULL -- from the request's arrival to the step
) STRICT;
CREATE INDEX fallback_at ON fallback (at_ms);
CREATE INDEX fallback_request_id ON fallback (request_id);

CREATE TABLE transition (
  -- One row per change of a target's standing.
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- grows in the order of writing, never used twice: a cursor
  at_ms INTEGER NOT NULL, -- when it changed, Unix milliseconds
  at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch')) VIRTUAL, -- at_ms, ISO 8601, UTC
  target TEXT NOT NULL, -- provider/model
  before TEXT NOT NULL CHECK (before IN ('unproven', 'healthy', 'cooling', 'probation')), -- the standing that it left
  after TEXT NOT NULL CHECK (after IN ('unproven', 'healthy', 'cooling', 'probation')), -- the standing that it took
  cause TEXT NOT NULL, -- why, in one line
  until_ms INTEGER, -- when the cooldown ends, Unix milliseconds; NULL unless it cools
  ejections INTEGER NOT NULL DEFAULT 0 CHECK (ejections >= 0) -- ejections in a row: what the next cooldown grows from
) STRICT;
CREATE INDEX transition_at ON transition (at_ms);
CREATE INDEX transition_target ON transition (target);

CREATE TABLE operation (
  -- One row per thing that an operator did.
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- grows in the order of writing, never used twice: a cursor
  at_ms INTEGER NOT NULL, -- when, Unix milliseconds
  at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch')) VIRTUAL, -- at_ms, ISO 8601, UTC
  verb TEXT NOT NULL, -- drain, resume, reload or probe
  target TEXT, -- at which target, NULL where it concerns all
  by TEXT NOT NULL, -- who
  reason TEXT NOT NULL DEFAULT '', -- why, in the operator's words
  until_ms INTEGER -- when a drain ends by itself, Unix milliseconds; NULL where only resume ends it
) STRICT;
CREATE INDEX operation_at ON operation (at_ms);
CREATE INDEX operation_target ON operation (target);

CREATE TABLE gap (
  -- One row per stretch of time of which rows are missing: what this file does not know.
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- grows in the order of writing, never used twice: a cursor
  at_ms INTEGER NOT NULL, -- when this row was written, Unix milliseconds
  at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch')) VIRTUAL, -- at_ms, ISO 8601, UTC
  from_ms INTEGER NOT NULL, -- the first missing row's time, Unix milliseconds
  to_ms INTEGER NOT NULL, -- the last missing row's time, Unix milliseconds
  count INTEGER NOT NULL CHECK (count > 0), -- how many rows are missing
  cause TEXT NOT NULL -- why they could not be written
) STRICT;
CREATE INDEX gap_at ON gap (at_ms);

CREATE TABLE fault_kind (
  -- What each kind of fault says. The faults that count are those by which a target fails what was asked of it.
  fault TEXT PRIMARY KEY, -- the word in the columns named fault
  blame TEXT NOT NULL, -- whose failure it is
  counts INTEGER NOT NULL CHECK (counts IN (0, 1)) -- whether it counts against a target's availability
) STRICT, WITHOUT ROWID;
INSERT INTO fault_kind (fault, blame, counts) VALUES
  ('unreachable', 'transport', 1), ('tls', 'transport', 1), ('timeout', 'provider', 1), ('overloaded', 'provider', 1),
  ('server_error', 'provider', 1), ('bad_reply', 'provider', 1), ('rate_limited', 'capacity', 1), ('quota', 'capacity', 1),
  ('auth', 'credential', 0), ('permission', 'credential', 0), ('model_not_found', 'model', 0),
  ('context_length', 'client', 0), ('too_large', 'client', 0), ('content_filter', 'client', 0),
  ('invalid_request', 'client', 0), ('cancelled', 'client', 0), ('cut', 'provider', 1);

CREATE TABLE evidence_hour (
  -- Hourly roll-up, kept 400 days: how many outcomes of each kind a target had.
  hour_ms INTEGER NOT NULL, -- the hour's beginning, Unix milliseconds
  target TEXT NOT NULL, -- provider/model
  source TEXT NOT NULL CHECK (source IN ('attempt', 'probe')), -- what saw it
  fault TEXT NOT NULL, -- see fault_kind; empty for success
  n INTEGER NOT NULL, -- how many
  PRIMARY KEY (hour_ms, target, source, fault)
) STRICT, WITHOUT ROWID;

CREATE TABLE latency_hour (
  -- Hourly roll-up, kept 400 days: the latency of the attempts that succeeded, in hours that are over.
  hour_ms INTEGER NOT NULL, -- the hour's beginning, Unix milliseconds
  target TEXT NOT NULL, -- provider/model
  measure TEXT NOT NULL CHECK (measure IN ('latency', 'first_byte')), -- to the end, or to the first content byte
  n INTEGER NOT NULL, -- how many were measured
  p50_ms REAL NOT NULL, -- half of them were at most this long
  p95_ms REAL NOT NULL, -- 95 in 100 were at most this long
  p99_ms REAL NOT NULL, -- 99 in 100 were at most this long
  PRIMARY KEY (hour_ms, target, measure)
) STRICT, WITHOUT ROWID;

CREATE TABLE latency_sketch (
  -- Work in hand: the latencies of hours that are not over yet, counted by latency_bucket.
  hour_ms INTEGER NOT NULL, -- the hour's beginning, Unix milliseconds
  target TEXT NOT NULL, -- provider/model
  measure TEXT NOT NULL CHECK (measure IN ('latency', 'first_byte')), -- to the end, or to the first content byte
  bucket INTEGER NOT NULL, -- see latency_bucket
  n INTEGER NOT NULL, -- how many
  PRIMARY KEY (hour_ms, target, measure, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE latency_bucket (
  -- Latencies that differ by at most 2 % are counted as one; what is read back is at most 1 % off.
  bucket INTEGER PRIMARY KEY, -- ordered as the latencies are
  up_to_ms REAL NOT NULL UNIQUE, -- the longest latency that belongs to it
  typical_ms REAL NOT NULL -- the latency that stands for all of it
) STRICT;
INSERT INTO latency_bucket (bucket, up_to_ms, typical_ms)
  WITH RECURSIVE grown (bucket, up_to_ms) AS (
    SELECT 0, 0.1 UNION ALL SELECT bucket + 1, up_to_ms * 1.02 FROM grown WHERE bucket < 850
  )
  SELECT bucket, iif(bucket = 850, 9e999, up_to_ms), up_to_ms / 1.01 FROM grown;

CREATE TABLE rollup_mark (
  -- How far each raw table has been rolled up; the views add the newer rows themselves.
  source TEXT PRIMARY KEY, -- the raw table
  last_id INTEGER NOT NULL -- the last row that the roll-ups hold
) STRICT, WITHOUT ROWID;
INSERT INTO rollup_mark (source, last_id) VALUES ('attempt', 0), ('probe', 0);
