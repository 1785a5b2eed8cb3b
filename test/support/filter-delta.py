"""Filters a Delta table by each of its columns with readers that are not ours, and compares with a read of all rows.

Usage: filter-delta.py TABLE_FOLDER READER...
Prints one JSON object: {"rows": N, "filters": N, "wrong": {READER: ["column operator value: found N of N", ...]}}
With --missing in place of the arguments it prints {READER: package that is not installed, or null}.
"""

import importlib.util
import json
import os
import sys

if importlib.util.find_spec("deltalake") and importlib.util.find_spec("pyarrow"):
    import pyarrow
    import pyarrow.compute as compute
    from deltalake import DeltaTable, QueryBuilder

OPERATORS = {
    "=": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}


def compare(operator, left, right):
    return getattr(compute, OPERATORS[operator])(left, right)


def values_of(column):
    """The smallest value of a column, one between, and the largest."""
    distinct = column.unique().drop_null()
    if pyarrow.types.is_binary(distinct.type):
        found = sorted(distinct.to_pylist())
    else:
        found = distinct.take(compute.sort_indices(distinct)).to_pylist()
    return [found[at] for at in sorted({0, len(found) // 2, len(found) - 1})] if found else []


def operators_of(kind, place):
    """Those that tell bounds which are too narrow."""
    if pyarrow.types.is_boolean(kind) or pyarrow.types.is_binary(kind):
        return ["=", "!="]
    return [["=", "<=", ">"], ["=", "!=", "<", ">="], ["=", ">=", "<"]][place % 3]


def conditions(rows):
    """Each (column, operator, value, number of rows that satisfy it), by a look at all rows."""
    for name in rows.column_names:
        column = rows[name].combine_chunks()
        for place, value in enumerate(values_of(column)):
            for operator in operators_of(column.type, place):
                mask = compare(operator, column, pyarrow.scalar(value, column.type))
                yield name, operator, value, compute.sum(mask).as_py() or 0
        yield name, "is null", None, column.null_count
        yield name, "is not null", None, len(column) - column.null_count


class DeltaRsFilters:
    """The `filters` of to_pyarrow_table, which to_pandas hands on. They have no way to ask for nulls."""

    packages = ["deltalake", "pyarrow"]

    def __init__(self, folder):
        self.table = DeltaTable(folder)

    def count(self, name, operator, value, _kind):
        if value is None:
            return None
        return self.table.to_pyarrow_table(columns=[name], filters=[(name, operator, value)]).num_rows


class DeltaRsDataset:
    """to_pyarrow_dataset: an expression over pyarrow's fields."""

    packages = ["deltalake", "pyarrow"]

    def __init__(self, folder):
        self.dataset = DeltaTable(folder).to_pyarrow_dataset()

    def count(self, name, operator, value, kind):
        field = compute.field(name)
        if value is None:
            expression = field.is_null() if operator == "is null" else field.is_valid()
        else:
            expression = compare(operator, field, pyarrow.scalar(value, kind))
        return self.dataset.to_table(filter=expression, columns=[name]).num_rows


def literal(value, kind, moment):
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, bool) or isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if pyarrow.types.is_date(kind):
        return f"DATE '{value.isoformat()}'"
    return f"{moment}({pyarrow.scalar(value, kind).value})"


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def where(name, operator, value, kind, moment):
    """`moment`: the function of this SQL that makes a timestamp of microseconds."""
    return f"{quoted(name)} {operator}" + ("" if value is None else f" {literal(value, kind, moment)}")


class DeltaRsSql:
    """QueryBuilder: DataFusion over delta-rs."""

    packages = ["deltalake", "pyarrow"]

    def __init__(self, folder):
        self.builder = QueryBuilder().register("t", DeltaTable(folder))

    def count(self, name, operator, value, kind):
        sql = f"SELECT count(*) AS n FROM t WHERE {where(name, operator, value, kind, 'to_timestamp_micros')}"
        return pyarrow.table(self.builder.execute(sql).read_all())["n"][0].as_py()


class DuckDb:
    """delta_scan, with the extension from PyPI: nothing is downloaded."""

    packages = ["deltalake", "pyarrow", "duckdb", "duckdb_extension_delta"]

    def __init__(self, folder):
        import duckdb
        import duckdb_extension_delta

        version = f"v{duckdb.__version__}"
        base = os.path.dirname(duckdb_extension_delta.__file__)
        self.connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        self.connection.execute(f"LOAD '{base}/extensions/{version}/delta.duckdb_extension'")
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute(f"CREATE VIEW t AS SELECT * FROM delta_scan('{folder}')")

    def count(self, name, operator, value, kind):
        sql = f"SELECT count(*) FROM t WHERE {where(name, operator, value, kind, 'make_timestamptz')}"
        parameters = []
        if isinstance(value, (str, bytes)):
            # A statement holds no NUL, and bytes are written otherwise here.
            sql = f"SELECT count(*) FROM t WHERE {quoted(name)} {operator} ?"
            parameters = [value]
        return self.connection.execute(sql, parameters).fetchone()[0]


class Polars:
    """scan_delta."""

    packages = ["deltalake", "pyarrow", "polars"]

    def __init__(self, folder):
        import polars

        self.polars = polars
        self.frame = polars.scan_delta(folder)

    def count(self, name, operator, value, kind):
        column = self.polars.col(name)
        if value is None:
            expression = column.is_null() if operator == "is null" else column.is_not_null()
        else:
            methods = {"=": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
            expression = getattr(column, methods[operator])(self.polars.lit(value))
        return self.frame.filter(expression).select(self.polars.len()).collect().item()


READERS = {
    "delta-rs filters": DeltaRsFilters,
    "delta-rs dataset": DeltaRsDataset,
    "delta-rs SQL": DeltaRsSql,
    "DuckDB": DuckDb,
    "Polars": Polars,
}


def missing(reader):
    """The package that the reader lacks, or None."""
    for package in reader.packages:
        if importlib.util.find_spec(package) is None:
            return package
    return None


def wrong_counts(reader, rows, asked):
    for column, operator, value, expected in asked:
        kind = rows.schema.field(column).type
        try:
            found = reader.count(column, operator, value, kind)
        except Exception as error:
            found = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
        if found is not None and found != expected:
            yield f"{column} {operator} {value!r}: found {found} of {expected}"


def main():
    if sys.argv[1:] == ["--missing"]:
        print(json.dumps({name: missing(reader) for name, reader in READERS.items()}))
        return
    folder, *names = sys.argv[1:]
    rows = pyarrow.table(DeltaTable(folder).to_pyarrow_table())
    asked = list(conditions(rows))
    wrong = {name: list(wrong_counts(READERS[name](folder), rows, asked)) for name in names}
    print(json.dumps({"rows": rows.num_rows, "filters": len(asked), "wrong": wrong}))


main()
# The packages' threads may still be there when the interpreter takes their library down, and the process then aborts after its answer.
sys.stdout.flush()
os._exit(0)
