"""Rows of figures, and tables made of them."""
import statistics


def row(bench: str, workload: str, metric: str, unit: str, ours: list, rival: str = None, theirs: list = ()) -> dict:
    """One figure of Larder beside a rival's, each given as one value a round, taken in the same round."""
    made = {"bench": bench, "workload": workload, "system": "larder", "metric": metric, "unit": unit,
            "value": None, "rival": rival, "rival_value": None, "ratio": None, "spread": None}
    if ours:
        made["value"] = round(statistics.median(ours), 3)
    if theirs:
        made["rival_value"] = round(statistics.median(theirs), 3)
    if ours and theirs and statistics.median(theirs) > 0:
        ratio = statistics.median(ours) / statistics.median(theirs)
        singles = [a / b for a, b in zip(ours, theirs) if b > 0]
        made["ratio"] = round(ratio, 4)
        made["spread"] = round((max(singles) - min(singles)) / 2 / ratio, 3) if ratio > 0 and singles else None
    return made


def number(value) -> str:
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def tables(rows: list) -> str:
    """A table for each metric: a line for each workload, a column for Larder and each rival."""
    groups = {}
    for each in rows:
        groups.setdefault((each["bench"], each["metric"], each["unit"]), []).append(each)
    return "\n".join(table(title, group) for title, group in groups.items())


def table(title: tuple, rows: list) -> str:
    columns, lines = [], {}
    for each in rows:
        line = lines.setdefault(each["workload"], {})
        line[each["system"]] = number(each["value"])
        columns += [each["system"]] if each["system"] not in columns else []
        if each["rival"]:
            ratio = f" ({number(each['ratio'])})" if each["ratio"] is not None else ""
            line[each["rival"]] = number(each["rival_value"]) + ratio
            columns += [each["rival"]] if each["rival"] not in columns else []
    bench, metric, unit = title
    grid = [[f"{bench}: {metric}, {unit}", *columns]]
    grid += [[workload, *(line.get(column, "") for column in columns)] for workload, line in lines.items()]
    widths = [max(len(cells[at]) for cells in grid) for at in range(len(grid[0]))]
    text = ["  ".join([cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:]))]).rstrip()
            for cells in grid]
    return "\n".join(["", text[0], "-" * len(text[0]), *text[1:]])
