"""connectorx into Arrow, Arrow into DuckDB or Parquet: connectorx_duckdb.py URL TABLE TARGET"""
import sys

import connectorx
import duckdb
import pyarrow.parquet

url, table, target = sys.argv[1:]
rows = connectorx.read_sql(url, f"select * from {table}", return_type="arrow")
if target.endswith(".duckdb"):
    with duckdb.connect(target) as connection:
        connection.execute("create table lineitem as from rows")
else:
    pyarrow.parquet.write_table(rows, target, compression="zstd")
