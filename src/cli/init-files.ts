/** Files that `headrace init` writes. */

export const IGNORED: readonly string[] = [".headrace/", "*.duckdb", "*.duckdb.wal", ".env"];

export const CONNECTIONS_YAML = `# Systems by name. A pipeline says \`from: sample\` and \`to: warehouse\`.
# Secrets come by reference: \${env:NAME} from the environment, \${file:path} from a file.
sample:    ./data                      # a folder of CSV, JSONL or Parquet files
warehouse: duckdb:warehouse.duckdb     # one file on this machine

# shop:    mysql://reader:\${env:SHOP_PASSWORD}@db.internal:3306/shop
# crm:     postgres://reader:\${env:CRM_PASSWORD}@crm.internal:5432/crm
# archive: { type: file, path: ./archive, format: parquet }
`;

export const SAMPLE_YAML = `# yaml-language-server: $schema=../.headrace/pipeline.schema.json
pipeline: sample
from: sample
to: warehouse
defaults:
  into: raw.{table}
tables:
  "*": {}                              # every file is a table; full: read whole, swapped in at once

# From a database you would write, for example:
# tables:
#   shop.*:      {}                                                # every table of schema shop, whole
#   shop.tmp_*:  skip
#   shop.orders: { mode: incremental, cursor: modified, key: id }  # only what changed, merged by key
#   shop.events: { mode: interval, cursor: created_at }            # a day at a time; \`headrace backfill\`
`;

export const CUSTOMERS_CSV = `id,name,city,joined_on
1,Ada Berg,Oslo,2026-01-03
2,"Brown, Ben",Leeds,2026-02-11
3,Chiara Conti,Torino,2026-02-28
4,Đorđe Đukić,Novi Sad,2026-03-30
5,Eve,,2026-04-01
`;

export const ORDERS_CSV = `id,customer_id,ordered_at,status,total
1001,1,2026-05-01 09:12:44,paid,129.90
1002,2,2026-05-01 10:03:10,paid,15.00
1003,2,2026-05-02 08:30:00,sent,74.25
1004,3,2026-05-02 17:45:59,cancelled,20.00
1005,4,2026-05-03 11:11:11,paid,310.10
1006,5,2026-05-04 23:59:59,new,5.50
1007,1,2026-05-05 07:00:01,new,42.00
`;
