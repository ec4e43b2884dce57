"""Tables as they go into the README."""


def markdown(rows: list[dict[str, object]]) -> str:
    """A table with the keys of the first row as its head; numbers with three digits that count."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([cell(row[name]) for name in head] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
