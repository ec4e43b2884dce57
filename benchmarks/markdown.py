"""Tables as they go into the README and the report."""

import pandas as pd


def markdown(rows: list[dict[str, object]]) -> str:
    """A table with the keys of the first row as its head; numbers with three digits that count."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([cell(row[name]) for name in head] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def of_frame(table: pd.DataFrame, digits: int = 4) -> str:
    """A table with its index; numbers with so many digits behind the point."""
    head = [table.index.name, *table.columns]
    rows = [[index, *row] for index, row in zip(table.index, table.astype(object).itertuples(index=False))]
    lines = [[f"{cell:.{digits}f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in [head, ["---"] * len(head), *lines])
