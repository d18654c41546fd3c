"""dlt's sql_table: dlt_pipeline.py BACKEND URL SCHEMA TABLE TARGET FOLDER

BACKEND is connectorx or pyarrow; TARGET ends in .duckdb, is a PostgreSQL URL, or is a folder for Parquet files.
"""
import sys

import dlt
from dlt.sources.sql_database import sql_table

backend, url, schema, table, target, folder = sys.argv[1:]
if target.endswith(".duckdb"):
    destination = dlt.destinations.duckdb(target)
elif target.startswith("postgresql:"):
    destination = dlt.destinations.postgres(target)
else:
    destination = dlt.destinations.filesystem(bucket_url=f"file://{target}")
options = {"backend_kwargs": {"return_type": "arrow"}} if backend == "connectorx" else {"chunk_size": 100_000}
resource = sql_table(credentials=url, schema=schema, table=table, backend=backend, reflection_level="full", **options)
pipeline = dlt.pipeline("bench", destination=destination, dataset_name="bench", pipelines_dir=folder)
# PostgreSQL takes CSV by COPY, and no Parquet.
file_format = "csv" if target.startswith("postgresql:") else "parquet"
pipeline.run(resource, write_disposition="replace", loader_file_format=file_format)
