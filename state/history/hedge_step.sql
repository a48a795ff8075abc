-- Migration step: which attempts were hedges. An attempt that lost to the other of its race is `cancelled`, blame `ourselves`.

ALTER TABLE attempt ADD COLUMN
  hedge INTEGER NOT NULL DEFAULT 0 CHECK (hedge IN (0, 1)) /* 1 where it was sent beside a first attempt that said nothing */;
