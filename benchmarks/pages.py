"""A document of results as a page of Markdown."""
from benchmarks import gpu_tables, tables


def markdown(document):
    """The whole document: tables, then what they were measured on."""
    lines = [f"# {tables.title(document)}", ""]
    if not document["complete"]:
        lines += ["The run ended early: what follows is what it had measured.", ""]
    if document["kind"] == "gpu":
        lines += gpu_tables.lines_of(document)
    elif document["kind"] == "footprint":
        lines += tables.footprint_tables(document)
    else:
        lines += tables.times_table(document) + tables.ratio_tables(document)
        if document["kind"] == "cnn":
            lines += tables.memory_table(document) + tables.limit_table(document) + tables.figures_table(document)
        lines += tables.profile_table(document)
    return "\n".join(lines + tables.machine_table(document)).rstrip() + "\n"
