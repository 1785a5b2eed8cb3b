"""Changes a Delta table with delta-rs, a writer that is not ours.

Usage: write-delta.py TABLE_FOLDER append|checkpoint|compact|delete|add-column|vacuum|
                      add-constraint|enable-change-data|enable-deletion-vectors|
                      forbid-removes|allow-removes|undo-retention
Exit code 3: the packages deltalake and pyarrow are not installed.
"""

import datetime
import os
import sys

try:
    import deltalake
    import pyarrow
except ImportError as error:
    print(f"python3 has no {error.name}", file=sys.stderr)
    sys.exit(3)


def foreign_row(table):
    """One row with a device id of its own; columns that it does not set are null."""
    when = datetime.datetime(2026, 11, 22, 10, 30, tzinfo=datetime.timezone.utc)
    return pyarrow.table(
        {
            "device_id": ["foreign-device"],
            "event_time": pyarrow.array([when], pyarrow.timestamp("us", "UTC")),
            "_index": pyarrow.array([0], pyarrow.int32()),
            "event_date": [when.date()],
            "event_hour": pyarrow.array([10], pyarrow.int32()),
        }
    )


def undo_retention(folder):
    """As docs/operating/upkeep.md has it."""
    import pyarrow.dataset as ds
    from deltalake import DeltaTable, write_deltalake

    removed = set()
    for entry in DeltaTable(folder).history():
        if "(retention)" in str(entry.get("operationParameters")):
            version = entry["version"]
            before, after = (DeltaTable(folder, version=v) for v in (version - 1, version))
            removed |= set(before.file_uris()) - set(after.file_uris())
    schema = pyarrow.schema(DeltaTable(folder).schema().to_arrow())
    rows = ds.dataset(sorted(removed), schema=schema, partitioning="hive").to_table()
    write_deltalake(folder, rows, mode="append")


def main():
    folder, action = sys.argv[1:3]
    table = deltalake.DeltaTable(folder)
    if action == "append":
        deltalake.write_deltalake(table, foreign_row(table), mode="append", schema_mode="merge")
    elif action == "add-column":
        row = foreign_row(table).append_column("theirs", pyarrow.array([1.5], pyarrow.float64()))
        deltalake.write_deltalake(table, row, mode="append", schema_mode="merge")
    elif action == "undo-retention":
        undo_retention(folder)
    elif action == "checkpoint":
        table.create_checkpoint()
    elif action == "compact":
        table.optimize.compact()
    elif action == "delete":
        table.delete("device_id = 'foreign-device'")
    elif action == "vacuum":
        table.vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
    elif action == "add-constraint":
        table.alter.add_constraint({"p": "_index >= 0"})
    elif action == "enable-change-data":
        table.alter.set_table_properties({"delta.enableChangeDataFeed": "true"})
    elif action in ("forbid-removes", "allow-removes"):
        value = "true" if action == "forbid-removes" else "false"
        table.alter.set_table_properties({"delta.appendOnly": value})
    elif action == "enable-deletion-vectors":
        feature = deltalake.TableFeatures.DeletionVectors
        table.alter.add_feature(feature, allow_protocol_versions_increase=True)
        table.alter.set_table_properties({"delta.enableDeletionVectors": "true"})
    else:
        sys.exit(f"unknown action {action}")


main()
# The packages' threads may still be there when the interpreter takes their library down, and the process then aborts after its answer.
sys.stdout.flush()
os._exit(0)
