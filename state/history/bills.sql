-- Views about money and care, made anew like those of views.sql.

DROP VIEW IF EXISTS _spend;
DROP VIEW IF EXISTS spend_daily;
DROP VIEW IF EXISTS _saving;
DROP VIEW IF EXISTS savings_daily;
DROP VIEW IF EXISTS budgets_now;
DROP VIEW IF EXISTS pending_reviews;
DROP VIEW IF EXISTS shadow_summary;

CREATE VIEW _spend AS
-- What attempts cost, by their quarter of an hour: what is rolled up, and the rows that are newer than that.
SELECT quarter_ms, workload, team, user, target, purpose, n, unpriced, prompt_tokens, completion_tokens, usd FROM spend
UNION ALL
SELECT at_ms - at_ms % 900000, workload, coalesce(team, ''), coalesce(user, ''), target, purpose,
  1, cost_usd IS NULL, coalesce(prompt_tokens, 0), coalesce(completion_tokens, 0), coalesce(cost_usd, 0.0)
FROM attempt WHERE id > (SELECT last_id FROM rollup_mark WHERE source = 'attempt') AND workload <> '';

CREATE VIEW spend_daily AS
-- One row per day (UTC), workload, who is charged, target and purpose: what attempts cost in dollars. unpriced counts the
-- attempts of unknown cost, which usd leaves out; it is NULL where nothing is known. Calls that callers reported are not in it.
SELECT
  date(quarter_ms / 1000, 'unixepoch') AS day,
  workload,
  nullif(team, '') AS team,
  nullif(user, '') AS user,
  target,
  purpose,
  sum(n) AS attempts,
  sum(prompt_tokens) AS prompt_tokens,
  sum(completion_tokens) AS completion_tokens,
  iif(sum(unpriced) < sum(n), sum(usd), NULL) AS usd,
  sum(unpriced) AS unpriced
FROM _spend GROUP BY day, workload, _spend.team, _spend.user, target, purpose ORDER BY day DESC, usd DESC, workload, target;

CREATE VIEW _saving AS
-- What requests cost, and would have at the workload's costliest target, by their quarter of an hour: see _spend.
SELECT quarter_ms, workload, team, n, usd, best_usd FROM saving
UNION ALL
SELECT at_ms - at_ms % 900000, workload, coalesce(team, ''), 1, cost_usd, best_usd
FROM request WHERE best_usd IS NOT NULL AND id > (SELECT last_id FROM rollup_mark WHERE source = 'request')
  AND cost_usd IS NOT NULL AND purpose = 'client';

CREATE VIEW savings_daily AS
-- One row per day (UTC) and workload: what its requests cost in dollars, retries and fallbacks included, against the same
-- tokens at its costliest target. Only requests of which both are known; shadows and fairlead's own questions are none.
SELECT
  date(quarter_ms / 1000, 'unixepoch') AS day,
  workload,
  sum(n) AS requests,
  sum(usd) AS usd,
  sum(best_usd) AS best_usd,
  sum(best_usd) - sum(usd) AS saved_usd,
  round(100.0 * (sum(best_usd) - sum(usd)) / nullif(sum(best_usd), 0.0), 2) AS saved_percent
FROM _saving GROUP BY day, workload ORDER BY day DESC, workload;

CREATE VIEW budgets_now AS
-- One row per limit in dollars, whom it counts apart, and period: how it stands. A period that is over has its spending
-- behind it; when the next one ends is written down with its first request, and NULL until then.
WITH
  clock (now_ms) AS (SELECT CAST(strftime('%s', 'now') AS INTEGER) * 1000),
  standing (name, subject, period, from_ms, to_ms, limit_usd, spent_usd, reserved_usd) AS (
    SELECT name, subject, period, iif(to_ms > now_ms, from_ms, NULL), iif(to_ms > now_ms, to_ms, NULL), limit_usd,
      iif(to_ms > now_ms, spent_usd, 0.0), iif(to_ms > now_ms, reserved_usd, 0.0)
    FROM clock CROSS JOIN budget
  )
SELECT
  name,
  subject,
  period,
  strftime('%Y-%m-%dT%H:%M:%fZ', from_ms / 1000.0, 'unixepoch') AS from_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', to_ms / 1000.0, 'unixepoch') AS to_at,
  limit_usd,
  spent_usd,
  reserved_usd,
  max(0.0, limit_usd - spent_usd - reserved_usd) AS left_usd,
  round(100.0 * spent_usd / nullif(limit_usd, 0.0), 1) AS percent
FROM standing ORDER BY name, subject, period;

CREATE VIEW pending_reviews AS
-- One row per answer that a person is to look at and nobody has, the longest waiting one first. See `fairlead review`.
SELECT at, request_id, workload, target, team, user, sha256
FROM review WHERE request_id NOT IN (SELECT request_id FROM verdict) ORDER BY id;

CREATE VIEW shadow_summary AS
-- One row per workload, target that answered, and target that was sent copies: how the copies differ, on average. Each
-- difference is the copy's minus the answer's, over the pairs of which both are known; NULL where there are none.
SELECT
  workload,
  target,
  shadow_target,
  count(*) AS copies,
  sum(outcome = 'ok') AS answered,
  sum(shadow_outcome = 'ok') AS shadow_answered,
  round(avg(shadow_latency_ms - latency_ms), 1) AS latency_ms_more,
  avg(shadow_cost_usd - cost_usd) AS cost_usd_more,
  count(shadow_cost_usd - cost_usd) AS costs_known,
  round(avg(shadow_length - length), 1) AS length_more,
  sum(refused) AS refused,
  sum(shadow_refused) AS shadow_refused
FROM comparison GROUP BY workload, target, shadow_target ORDER BY workload, target, shadow_target;
