-- Views for people. Made anew with each migration, so that a better view needs no data to move.
-- A view whose name starts with an underscore is a part of others.

DROP VIEW IF EXISTS health_now;
DROP VIEW IF EXISTS availability_daily;
DROP VIEW IF EXISTS latency_hourly;
DROP VIEW IF EXISTS _latency_open;
DROP VIEW IF EXISTS outages;
DROP VIEW IF EXISTS fallbacks_recent;
DROP VIEW IF EXISTS slowest_requests;

CREATE VIEW health_now AS
-- One row per target: its standing, since when and why, whether an operator has drained it, and its last hour.
WITH
  clock (now_ms) AS (SELECT CAST(strftime('%s', 'now') AS INTEGER) * 1000),
  known (target) AS (
    SELECT target FROM transition
    UNION SELECT target FROM operation WHERE target IS NOT NULL
    UNION SELECT target FROM clock CROSS JOIN evidence_hour WHERE hour_ms >= now_ms - 86400000
    UNION SELECT target FROM attempt WHERE id > (SELECT last_id FROM rollup_mark WHERE source = 'attempt')
    UNION SELECT target FROM probe WHERE id > (SELECT last_id FROM rollup_mark WHERE source = 'probe')
  ),
  latest (target, transition_id, operation_id) AS (
    SELECT target,
      (SELECT max(id) FROM transition WHERE transition.target = known.target),
      (SELECT max(id) FROM operation WHERE operation.target = known.target AND verb IN ('drain', 'resume'))
    FROM known
  ),
  last_hour (target, attempts, failed) AS (
    SELECT target, count(*), sum(coalesce(counts, 0) AND coalesce(attempt.blame, '') NOT IN ('caller', 'ourselves'))
    FROM clock CROSS JOIN attempt LEFT JOIN fault_kind USING (fault)
    WHERE at_ms >= now_ms - 3600000 GROUP BY target
  )
SELECT
  latest.target,
  coalesce(transition.after, 'unproven') AS standing,
  transition.at AS since,
  strftime('%Y-%m-%dT%H:%M:%fZ', transition.until_ms / 1000.0, 'unixepoch') AS cooling_until,
  coalesce(transition.cause, '') AS cause,
  coalesce(operation.verb = 'drain' AND (operation.until_ms IS NULL OR operation.until_ms > now_ms), 0) AS drained,
  iif(operation.verb = 'drain', operation.reason, '') AS drain_reason,
  coalesce(attempts, 0) AS attempts_last_hour,
  coalesce(failed, 0) AS failed_last_hour,
  (SELECT at FROM attempt WHERE attempt.target = latest.target AND fault IS NOT NULL
    AND at_ms >= now_ms - 3600000 ORDER BY at_ms DESC LIMIT 1) AS last_fault_at
FROM clock CROSS JOIN latest
  LEFT JOIN transition ON transition.id = latest.transition_id
  LEFT JOIN operation ON operation.id = latest.operation_id
  LEFT JOIN last_hour ON last_hour.target = latest.target
ORDER BY latest.target;

CREATE VIEW availability_daily AS
-- One row per target and day (UTC). availability is the share of its outcomes that did what was asked, from 0 to 1,
-- over attempts and probes; a fault that is not the provider's doing (fault_kind.counts = 0) is left out.
WITH
  evidence (hour_ms, target, source, fault, n) AS (
    SELECT hour_ms, target, source, fault, n FROM evidence_hour
    UNION ALL
    SELECT at_ms, target, 'attempt',
      CASE WHEN blame IN ('caller', 'ourselves') AND fault IN (SELECT fault FROM fault_kind WHERE counts) THEN 'cancelled'
      ELSE coalesce(fault, '') END, 1 FROM attempt
      WHERE id > (SELECT last_id FROM rollup_mark WHERE source = 'attempt')
    UNION ALL
    SELECT at_ms, target, 'probe', coalesce(fault, ''), 1 FROM probe
      WHERE id > (SELECT last_id FROM rollup_mark WHERE source = 'probe')
  )
SELECT
  date(hour_ms / 1000, 'unixepoch') AS day,
  target,
  sum(n) FILTER (WHERE fault = '') * 1.0 / nullif(sum(n) FILTER (WHERE fault = '' OR coalesce(counts, 1)), 0) AS availability,
  coalesce(sum(n) FILTER (WHERE source = 'attempt'), 0) AS attempts,
  coalesce(sum(n) FILTER (WHERE source = 'attempt' AND fault <> '' AND coalesce(counts, 1)), 0) AS failed_attempts,
  coalesce(sum(n) FILTER (WHERE source = 'probe'), 0) AS probes,
  coalesce(sum(n) FILTER (WHERE source = 'probe' AND fault <> '' AND coalesce(counts, 1)), 0) AS failed_probes
FROM evidence LEFT JOIN fault_kind USING (fault)
GROUP BY day, target ORDER BY day DESC, target;

CREATE VIEW _latency_open AS
-- The percentiles of the hours that are not in latency_hour yet: from the sketches, and from rows newer than those.
WITH
  newer (hour_ms, target, measure, ms) AS (
    SELECT at_ms - at_ms % 3600000, target, 'latency', latency_ms FROM attempt
      WHERE id > (SELECT last_id FROM rollup_mark WHERE source = 'attempt') AND fault IS NULL
    UNION ALL
    SELECT at_ms - at_ms % 3600000, target, 'first_byte', first_byte_ms FROM attempt
      WHERE id > (SELECT last_id FROM rollup_mark WHERE source = 'attempt') AND fault IS NULL AND first_byte_ms IS NOT NULL
  ),
  counted (hour_ms, target, measure, bucket, n) AS (
    SELECT hour_ms, target, measure, bucket, n FROM latency_sketch
    UNION ALL
    SELECT hour_ms, target, measure,
      (SELECT bucket FROM latency_bucket WHERE up_to_ms >= ms ORDER BY up_to_ms LIMIT 1), 1 FROM newer
  ),
  tally (hour_ms, target, measure, bucket, n) AS (
    SELECT hour_ms, target, measure, bucket, sum(n) FROM counted GROUP BY hour_ms, target, measure, bucket
  ),
  ranked (hour_ms, target, measure, bucket, up_to, total) AS (
    SELECT hour_ms, target, measure, bucket,
      sum(n) OVER (PARTITION BY hour_ms, target, measure ORDER BY bucket),
      sum(n) OVER (PARTITION BY hour_ms, target, measure)
    FROM tally
  )
SELECT
  hour_ms, target, measure, max(total) AS n,
  round(min(typical_ms) FILTER (WHERE up_to * 100 >= total * 50), 3) AS p50_ms,
  round(min(typical_ms) FILTER (WHERE up_to * 100 >= total * 95), 3) AS p95_ms,
  round(min(typical_ms) FILTER (WHERE up_to * 100 >= total * 99), 3) AS p99_ms
FROM ranked JOIN latency_bucket USING (bucket)
GROUP BY hour_ms, target, measure;

CREATE VIEW latency_hourly AS
-- One row per target and hour (UTC): how long the attempts that succeeded took, in milliseconds, at most 1 % off.
WITH
  every (hour_ms, target, measure, n, p50_ms, p95_ms, p99_ms) AS (
    SELECT hour_ms, target, measure, n, p50_ms, p95_ms, p99_ms FROM latency_hour
    UNION ALL
    SELECT hour_ms, target, measure, n, p50_ms, p95_ms, p99_ms FROM _latency_open AS young
      WHERE NOT EXISTS (
        SELECT 1 FROM latency_hour AS old
        WHERE old.hour_ms = young.hour_ms AND old.target = young.target AND old.measure = young.measure
      )
  )
SELECT
  strftime('%Y-%m-%dT%H:00:00Z', hour_ms / 1000, 'unixepoch') AS hour,
  target,
  max(n) FILTER (WHERE measure = 'latency') AS answers,
  max(p50_ms) FILTER (WHERE measure = 'latency') AS p50_ms,
  max(p95_ms) FILTER (WHERE measure = 'latency') AS p95_ms,
  max(p99_ms) FILTER (WHERE measure = 'latency') AS p99_ms,
  max(p50_ms) FILTER (WHERE measure = 'first_byte') AS first_byte_p50_ms,
  max(p95_ms) FILTER (WHERE measure = 'first_byte') AS first_byte_p95_ms,
  max(p99_ms) FILTER (WHERE measure = 'first_byte') AS first_byte_p99_ms
FROM every GROUP BY hour_ms, target ORDER BY hour_ms DESC, target;

CREATE VIEW outages AS
-- One row per stretch of time that a target was ejected (cooling, or on probation after it); to_at is NULL while it lasts.
-- requests_hit counts the requests whose attempt at it failed then, from the last success before the ejection on.
WITH
  steps (id, at_ms, target, cause, out) AS (
    SELECT id, at_ms, target, cause, after = 'cooling' OR (after = 'probation' AND before IN ('cooling', 'probation'))
    FROM transition
  ),
  seen (id, at_ms, target, cause, out, was_out) AS (
    SELECT id, at_ms, target, cause, out, lag(out, 1, 0) OVER (PARTITION BY target ORDER BY id) FROM steps
  ),
  edges (at_ms, target, cause, out, to_ms) AS (
    SELECT at_ms, target, cause, out, lead(at_ms) OVER (PARTITION BY target ORDER BY id) FROM seen WHERE out <> was_out
  ),
  spans (target, from_ms, to_ms, end_ms, cause) AS (
    SELECT target, at_ms, to_ms, coalesce(to_ms, CAST(strftime('%s', 'now') AS INTEGER) * 1000), cause
    FROM edges WHERE out
  )
SELECT
  target,
  strftime('%Y-%m-%dT%H:%M:%fZ', from_ms / 1000.0, 'unixepoch') AS from_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', to_ms / 1000.0, 'unixepoch') AS to_at,
  round(max(0, end_ms - from_ms) / 60000.0, 2) AS minutes,
  (SELECT count(DISTINCT request_id) FROM attempt JOIN fault_kind USING (fault)
    WHERE attempt.target = spans.target AND counts AND at_ms <= end_ms
      AND coalesce(attempt.blame, '') NOT IN ('caller', 'ourselves')
      AND at_ms > max(from_ms - 600000, coalesce(
        (SELECT max(at_ms) FROM attempt AS fine
          WHERE fine.target = spans.target AND fine.outcome = 'ok'
            AND fine.at_ms < from_ms AND fine.at_ms >= from_ms - 600000), 0))) AS requests_hit,
  cause
FROM spans ORDER BY from_ms DESC;

CREATE VIEW fallbacks_recent AS
-- The last 100 fallbacks, newest first.
SELECT at, workload, from_target, to_target, fault, status, reason, round(after_ms, 1) AS after_ms, request_id
FROM fallback ORDER BY id DESC LIMIT 100;

CREATE VIEW slowest_requests AS
-- The 100 slowest requests of the last 24 hours, slowest first.
SELECT at, request_id, workload, served_by, attempts, outcome, latency_ms, first_byte_ms, completion_tokens, streamed, degraded
FROM request
WHERE id IN (
  SELECT id FROM request WHERE at_ms >= (CAST(strftime('%s', 'now') AS INTEGER) - 86400) * 1000
  ORDER BY latency_ms DESC LIMIT 100
)
ORDER BY latency_ms DESC;
