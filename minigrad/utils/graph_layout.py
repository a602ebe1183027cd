"""Where the boxes of a graph stand: in layers, few arrows crossing (Sugiyama's method, by the library igraph)."""

GAP = 14.0  # points between boxes of a layer
STEP = 22.0  # points between layers
MARGIN = 10.0


def layers_of(nodes, edges):
    """Return {node: layer}: each node stands below all it comes from, and a source just above the first it goes to.

    >>> layers_of("abcd", [("a", "b"), ("b", "c"), ("d", "c")])
    {'a': 0, 'b': 1, 'c': 2, 'd': 1}
    """
    into = {node: [] for node in nodes}
    out_of = {node: [] for node in nodes}
    for start, end in edges:
        into[end].append(start)
        out_of[start].append(end)
    waiting = {node: len(before) for node, before in into.items()}
    ready = [node for node, count in waiting.items() if count == 0]
    layer, order = dict.fromkeys(nodes, 0), []
    while ready:
        node = ready.pop()
        order.append(node)
        for after in out_of[node]:
            layer[after] = max(layer[after], layer[node] + 1)
            waiting[after] -= 1
            if not waiting[after]:
                ready.append(after)
    for node in order:
        if not into[node] and out_of[node]:
            layer[node] = min(layer[after] for after in out_of[node]) - 1
    return layer


def place(sizes, edges):
    """Return ({node: (x, y)}, {edge: points it bends at}, (width, height)) of a graph without cycles, y growing down.

    Arguments: sizes ({node: (width, height)} in points), edges ([(from, to)]). Edges over several layers get a point in
    each, which keeps them clear of the boxes there. RuntimeError without igraph.
    """
    try:
        import igraph
    except ImportError as error:
        raise RuntimeError(
            "drawing a graph without the program dot (Graphviz) needs igraph: pip install 'minigrad-cnn[graph]'"
        ) from error
    nodes = list(sizes)
    number = {node: index for index, node in enumerate(nodes)}
    layer_of = layers_of(nodes, edges)
    layers = [layer_of[node] for node in nodes]
    links, chains = [], {}
    for start, end in edges:
        chain = [number[start]]
        for level in range(layer_of[start] + 1, layer_of[end]):
            chain.append(len(layers))
            layers.append(level)
        chain.append(number[end])
        links += zip(chain, chain[1:], strict=False)
        chains[start, end] = chain[1:-1]
    graph = igraph.Graph(n=len(layers), edges=links, directed=True)
    columns = [x for x, _ in graph.layout_sugiyama(layers=layers, hgap=1, vgap=1, maxiter=200).coords]
    widths = [sizes[node][0] for node in nodes] + [0.0] * (len(layers) - len(nodes))
    across = _spread(columns, layers, widths)
    heights = [0.0] * (max(layers) + 1)
    for node in nodes:
        heights[layer_of[node]] = max(heights[layer_of[node]], sizes[node][1])
    tops = [MARGIN]
    for height in heights:
        tops.append(tops[-1] + height + STEP)
    down = [tops[level] + heights[level] / 2 for level in layers]
    left = min(x - w / 2 for x, w in zip(across, widths, strict=True)) - MARGIN
    right = max(x + w / 2 for x, w in zip(across, widths, strict=True)) + MARGIN
    points = [(x - left, y) for x, y in zip(across, down, strict=True)]
    centres = {node: points[number[node]] for node in nodes}
    bends = {edge: [points[index] for index in chain] for edge, chain in chains.items()}
    return centres, bends, (right - left, tops[-1] - STEP + MARGIN)


def _spread(columns, layers, widths):
    """Return places across for nodes in columns of unit width, such that in no layer boxes come closer than GAP.

    Each column gets as much room as its widest neighbours need, alike in every layer: what is straight stays straight.
    """
    columns = [round(column, 3) for column in columns]
    rows = {}
    for index, level in enumerate(layers):
        rows.setdefault(level, []).append(index)
    for row in rows.values():
        row.sort(key=lambda index: columns[index])
        for left, right in zip(row, row[1:], strict=False):
            columns[right] = max(columns[right], round(columns[left] + 0.001, 3))  # igraph may put two in one place
    places = sorted(set(columns))
    rank = {place: index for index, place in enumerate(places)}
    wanted = [[] for _ in places]  # of each column: (column to the left of it, distance)
    for row in rows.values():
        for left, right in zip(row, row[1:], strict=False):
            distance = (widths[left] + widths[right]) / 2 + GAP
            wanted[rank[columns[right]]].append((rank[columns[left]], distance))
    positions = []
    for index in range(len(places)):
        after = positions[-1] if positions else 0.0
        positions.append(max([after, *(positions[column] + distance for column, distance in wanted[index])]))
    return [positions[rank[column]] for column in columns]
