"""DuckDB's own mysql and postgres extensions: duckdb_extension.py SOURCE_KIND HOST PORT DATABASE SCHEMA TABLE TARGET

TARGET ends in .duckdb or .parquet. The extension comes from the PyPI packages duckdb-extension-mysql-scanner and
duckdb-extension-postgres-scanner of the same version as duckdb, or from DuckDB's own server when it can be reached.
"""
import importlib
import pathlib
import sys

import duckdb

kind, host, port, database, schema, table, target = sys.argv[1:]
connection = duckdb.connect(target if target.endswith(".duckdb") else ":memory:")
try:
    package = importlib.import_module(f"duckdb_extension_{kind}_scanner")
    files = list(pathlib.Path(package.__file__).parent.glob(f"extensions/*/{kind}_scanner.duckdb_extension"))
    connection.execute(f"load '{files[0]}'")
except ModuleNotFoundError:
    connection.execute(f"install {kind}")
    connection.execute(f"load {kind}")
if kind == "mysql":
    address = f"host={host} port={port} user=bench password=bench database={database}"
else:
    address = f"host={host} port={port} user=bench password=bench dbname={database}"
connection.execute(f"attach '{address}' as source (type {kind}, read_only)")
if target.endswith(".duckdb"):
    connection.execute(f"create table {table} as from source.{schema}.{table}")
    connection.execute("checkpoint")
else:
    connection.execute(f"copy (from source.{schema}.{table}) to '{target}' (format parquet, compression zstd)")
