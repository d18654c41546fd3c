"""dlt's sql_table: dlt_pipeline.py BACKEND URL SCHEMA TABLE TARGET FOLDER

BACKEND is connectorx or pyarrow; TARGET ends in .duckdb, or is a folder for Parquet files.
"""
import sys

import dlt
from dlt.sources.sql_database import sql_table

backend, url, schema, table, target, folder = sys.argv[1:]
if target.endswith(".duckdb"):
    destination = dlt.destinations.duckdb(target)
else:
    destination = dlt.destinations.filesystem(bucket_url=f"file://{target}")
options = {"backend_kwargs": {"return_type": "arrow"}} if backend == "connectorx" else {"chunk_size": 100_000}
resource = sql_table(credentials=url, schema=schema, table=table, backend=backend, reflection_level="full", **options)
pipeline = dlt.pipeline("bench", destination=destination, dataset_name="bench", pipelines_dir=folder)
pipeline.run(resource, write_disposition="replace", loader_file_format="parquet")
