"""DuckDB's own mysql and postgres extensions: duckdb_extension.py SOURCE_KIND HOST PORT DATABASE SCHEMA TABLE TARGET

TARGET ends in .duckdb or .parquet, or is a PostgreSQL URL. The extension comes from the PyPI packages duckdb-extension-mysql-scanner and
duckdb-extension-postgres-scanner of the same version as duckdb, or from DuckDB's own server when it can be reached.
"""
import importlib
import pathlib
import sys

import duckdb

kind, host, port, database, schema, table, target = sys.argv[1:]
connection = duckdb.connect(target if target.endswith(".duckdb") else ":memory:")
for name in {kind, "postgres"} if target.startswith("postgresql:") else {kind}:
    try:
        package = importlib.import_module(f"duckdb_extension_{name}_scanner")
        files = list(pathlib.Path(package.__file__).parent.glob(f"extensions/*/{name}_scanner.duckdb_extension"))
        connection.execute(f"load '{files[0]}'")
    except ModuleNotFoundError:
        connection.execute(f"install {name}")
        connection.execute(f"load {name}")
if kind == "mysql":
    address = f"host={host} port={port} user=bench password=bench database={database}"
else:
    address = f"host={host} port={port} user=bench password=bench dbname={database}"
connection.execute(f"attach '{address}' as source (type {kind}, read_only)")
if target.startswith("postgresql:"):
    connection.execute(f"attach '{target}' as target (type postgres)")
    connection.execute("create schema target.bench")
    connection.execute(f"create table target.bench.{table} as from source.{schema}.{table}")
elif target.endswith(".duckdb"):
    connection.execute(f"create table {table} as from source.{schema}.{table}")
    connection.execute("checkpoint")
else:
    connection.execute(f"copy (from source.{schema}.{table}) to '{target}' (format parquet, compression zstd)")
