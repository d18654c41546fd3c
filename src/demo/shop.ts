/** The sample shop: tables with ordinary sizes and the values that copies usually break on. */
export const SHOP_SQL = `
CREATE SCHEMA shop;
CREATE TABLE shop.customers (
  id bigint PRIMARY KEY, name text NOT NULL, email varchar(120), tags text[] NOT NULL DEFAULT '{}',
  profile jsonb, token uuid NOT NULL, born date, member_until timestamptz, created_at timestamp NOT NULL);
INSERT INTO shop.customers
SELECT i,
  CASE i % 7 WHEN 0 THEN 'Zoë "Ünïcode" 😀 ' || i WHEN 1 THEN 'O''Neil, Tab' || chr(9) || 'and' || chr(10) || 'line ' || i
    WHEN 2 THEN '' WHEN 3 THEN '\\N' ELSE 'Customer ' || i END,
  CASE WHEN i % 11 = 0 THEN NULL ELSE 'c' || i || '@example.org' END,
  CASE i % 5 WHEN 0 THEN '{}' WHEN 1 THEN '{vip}' ELSE ARRAY['new', NULL, 'a,b'] END,
  CASE WHEN i % 3 = 0 THEN NULL ELSE jsonb_build_object('visits', i, 'ratio', 12345678901234567890.123456789) END,
  md5(i::text)::uuid, date '1950-01-01' + (i % 20000),
  CASE WHEN i % 13 = 0 THEN 'infinity' ELSE timestamptz '2027-01-01 00:00:00+02' + i * interval '1 minute' END,
  timestamp '2026-01-01' + i * interval '61.000001 seconds'
FROM generate_series(1, 5000) i;

CREATE TABLE shop.orders (
  id bigint PRIMARY KEY, customer_id bigint NOT NULL, state text NOT NULL DEFAULT 'new', total numeric(12,2) NOT NULL,
  ordered_on date NOT NULL, modified timestamp NOT NULL, cancelled boolean NOT NULL DEFAULT false);
INSERT INTO shop.orders
SELECT i, 1 + (i::bigint * 7919) % 5000, (ARRAY['new','paid','sent'])[1 + i % 3], (i * 37 % 100000) / 100.0,
  date '2026-09-01' + (i % 80), timestamp '2026-11-20' + i * interval '0.7 seconds', false
FROM generate_series(1, 60000) i;
CREATE INDEX ON shop.orders (modified);

CREATE TABLE shop.order_lines (
  order_id bigint, line smallint, sku char(8) NOT NULL, quantity integer NOT NULL, price numeric(18,6) NOT NULL,
  PRIMARY KEY (order_id, line));
INSERT INTO shop.order_lines
SELECT o, l, 'SKU' || lpad(((o * 31 + l) % 9999)::text, 4, '0'), 1 + (o + l) % 9, ((o * 13 + l * 7) % 100000) / 977.0
FROM generate_series(1, 60000) o, generate_series(1, 3) l;

CREATE TABLE shop.ledger (id bigint PRIMARY KEY, account text NOT NULL, rate numeric(20,8));
INSERT INTO shop.ledger SELECT i, 'account ' || i, CASE WHEN i = 777 THEN 'NaN' ELSE i / 7.0 END FROM generate_series(1, 1000) i;
ANALYZE;
`;

/** What happens in the shop between the two runs. */
export const CHANGES_SQL = `
INSERT INTO shop.orders
SELECT 60000 + i, 1 + (i::bigint * 104729) % 5000, 'new', (i * 53 % 90000) / 100.0, date '2026-11-20',
  timestamp '2026-11-20 12:00:00' + i * interval '0.3 seconds', false
FROM generate_series(1, 1200) i;
UPDATE shop.orders SET state = 'sent', modified = timestamp '2026-11-20 12:10:00' + id * interval '0.01 seconds' WHERE id <= 300;
UPDATE shop.orders SET cancelled = true, modified = timestamp '2026-11-20 12:30:00' + id * interval '0.01 seconds'
WHERE id BETWEEN 1001 AND 1040;
`;

export const PIPELINE_YAML = `# yaml-language-server: $schema=../.headrace/pipeline.schema.json
pipeline: shop
from: shop_db
to: copy
tables:
  shop.customers:   {}
  shop.order_lines: {}
  shop.orders:      { mode: incremental, cursor: modified, deleted: cancelled }
  shop.ledger:      {}       # one rate is NaN, which no decimal column can hold
`;
