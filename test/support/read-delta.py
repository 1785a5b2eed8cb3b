"""Reads a Delta table with delta-rs, a reader that is not ours, and prints what it found as one JSON object.

Usage: read-delta.py TABLE_FOLDER [--version N] [--where COLUMN OPERATOR VALUE]... [--rows LIMIT]
Exit code 3: the packages deltalake and pyarrow are not installed.
"""

import argparse
import json
import os
import sys

try:
    import deltalake
    import pyarrow
    import pyarrow.compute
except ImportError as error:
    print(f"python3 has no {error.name}", file=sys.stderr)
    sys.exit(3)


def plain(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int) and abs(value) >= 2**53:
        # JSON.parse would round it.
        return str(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("table")
    arguments.add_argument("--version", type=int)
    arguments.add_argument("--where", nargs=3, action="append", default=[])
    arguments.add_argument("--rows", type=int, default=0)
    options = arguments.parse_args()
    table = deltalake.DeltaTable(options.table, version=options.version)
    filters = [tuple(condition) for condition in options.where] or None
    fields = json.loads(table.schema().to_json())["fields"]
    data = pyarrow.table(table.to_pyarrow_table(partitions=filters) if filters else table.to_pyarrow_table())
    data = data.sort_by([("event_time", "ascending"), ("_index", "ascending")])
    actions = pyarrow.table(table.get_add_actions(flatten=True))
    print(
        json.dumps(
            {
                "version": table.version(),
                "schema": {field["name"]: field["type"] for field in fields},
                "partitionColumns": table.metadata().partition_columns,
                "files": len(table.file_uris(partition_filters=filters) if filters else table.file_uris()),
                "recordsByStatistics": pyarrow.compute.sum(actions["num_records"]).as_py(),
                "statistics": sorted(name for name in actions.column_names if name.startswith(("min.", "max."))),
                "transaction": {
                    app_id: transaction if isinstance(transaction, int) else getattr(transaction, "version", None)
                    for app_id, transaction in table.transaction_versions().items()
                }
                if hasattr(table, "transaction_versions")
                else None,
                "rows": data.num_rows,
                "distinctDevices": pyarrow.compute.count_distinct(data["device_id"]).as_py(),
                "sample": [
                    {name: plain(value) for name, value in row.items()}
                    for row in data.slice(0, options.rows).to_pylist()
                ],
            }
        )
    )


main()
# The packages' threads may still be there when the interpreter takes their library down, and the process then aborts after its answer.
sys.stdout.flush()
os._exit(0)
