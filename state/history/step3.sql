-- Migration step 3: what each choice was made from, and by which code, so that it can be made again; which attempts were
-- hedges; and what is believed of each target's latency, so that a restart goes on from there.
-- SQLite keeps what stands between ADD COLUMN and the semicolon, so these comments stay in `.schema` too.

ALTER TABLE decision ADD COLUMN
  setting BLOB /* all that was known: query, places, health, load, clock, seed (MessagePack in zlib); NULL: unrecorded */;
ALTER TABLE decision ADD COLUMN
  code TEXT /* which code chose: the version, and a hash of the source that decides; NULL where unrecorded */;

ALTER TABLE attempt ADD COLUMN
  hedge INTEGER NOT NULL DEFAULT 0 CHECK (hedge IN (0, 1)) /* 1 where it was sent beside a first one that said nothing */;

CREATE TABLE estimate (
  -- One row per target: what was believed of its latency and its reliability, written down every few seconds.
  target TEXT PRIMARY KEY, -- provider/model
  at_ms INTEGER NOT NULL, -- when, Unix milliseconds
  at TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch')) VIRTUAL, -- at_ms, ISO 8601, UTC
  first_ms REAL, -- expected to the first token
  tokens_per_second REAL, -- expected pace of the output
  belief TEXT NOT NULL -- the whole of it, as JSON; its times are seconds before at_ms
) STRICT, WITHOUT ROWID;
