-- Migration step 3: what each choice was made from, and by which code, so that it can be made again.
-- SQLite keeps what stands between ADD COLUMN and the semicolon, so these comments stay in `.schema` too.

ALTER TABLE decision ADD COLUMN
  setting BLOB /* all that was known: query, places, health, load, clock, seed (MessagePack in zlib); NULL: unrecorded */;
ALTER TABLE decision ADD COLUMN
  code TEXT /* which code chose: the version, and a hash of the source that decides; NULL where unrecorded */;
