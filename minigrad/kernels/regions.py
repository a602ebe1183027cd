"""Regions of interest: what of the maps each bin of a region looks at, and maps gathered into bins and back.

A region's bins are linear and separable in the map: out[ph, pw] = Σ rows[ph, y] · columns[pw, x] · map[y, x].
"""

from minigrad.backend import np, xp
from minigrad.kernels.scatter import scatter_add_flat


def sampled(start, extent, bins, size, ratio):
    """Weights (K, bins, size) of means of bilinear samples: the K intervals start, start + extent in bins.

    ratio samples per bin, or as many as the bin is pixels long if it is not positive. Samples more than a pixel
    outside count as 0; others are moved onto the map.
    """
    module = xp(start)
    count = len(start)
    width = extent / bins  # (K,)
    if ratio > 0:
        grid = module.full(count, ratio, dtype=np.int64)
    else:
        grid = module.ceil(width).astype(np.int64).clip(0, None)
    step = module.arange(max(1, int(grid.max())) if count else 1)
    within = (step + 0.5).astype(start.dtype) * (width / module.maximum(grid, 1))[:, None]  # (K, G)
    first = start[:, None] + module.arange(bins).astype(start.dtype) * width[:, None]  # (K, bins)
    place = first[:, :, None] + within[:, None, :]
    used = (step < grid[:, None])[:, None, :] & (place >= -1) & (place <= size)
    place = module.where(used, place, 0).clip(0, size - 1)
    low = module.minimum(place.astype(np.int64), size - 1)
    high = module.minimum(low + 1, size - 1)
    share = place - low
    weight = used / module.maximum(grid, 1)[:, None, None]
    out = module.zeros(count * bins * size, dtype=np.float64)
    base = (module.arange(count)[:, None, None] * bins + module.arange(bins)[:, None]) * size
    for index, part in ((low, 1.0 - share), (high, share)):
        scatter_add_flat(out, base + index, (part * weight).astype(np.float64))
    return out.reshape(count, bins, size).astype(start.dtype)


def cell_bounds(low, high, bins, size, inclusive):
    """First cell and end (K, bins) of the whole cells of each bin of the intervals low … high, numbers of pixels.

    inclusive: whether the last pixel of an interval belongs to it; if not, the last one of the map belongs to none.
    """
    module = xp(low)
    start = module.trunc(low + module.copysign(0.5, low))  # round half away from zero, as C does
    end = module.trunc(high + module.copysign(0.5, high))
    width = (module.maximum(end - start + inclusive, 1) / bins).astype(low.dtype)[:, None]
    number = module.arange(bins).astype(low.dtype)
    last = size if inclusive else size - 1
    first = (module.floor(number * width) + start[:, None]).clip(0, last)
    stop = (module.ceil((number + 1) * width) + start[:, None]).clip(0, last)
    return first.astype(np.int64), stop.astype(np.int64)


def averaged(low, high, bins, size):
    """Weights (K, bins, size) of means over the whole cells of each bin; nothing for bins without any."""
    module = xp(low)
    first, stop = cell_bounds(low, high, bins, size, False)
    cell = module.arange(size)
    inside = (cell >= first[:, :, None]) & (cell < stop[:, :, None])
    return (inside / module.maximum(stop - first, 1)[:, :, None]).astype(low.dtype)


def _spans(weights):
    """The first and the end of what is not 0 in each of (K, bins, size), as lists; empty ones are 0, 0."""
    used = (weights != 0).any(1)
    some = used.any(1)
    first = used.argmax(1) * some
    end = (used.shape[1] - used[:, ::-1].argmax(1)) * some
    return first.tolist(), end.tolist()


def gather_bins(maps, batch, rows, columns, sensitive):
    """The bins (K, C, PH, PW) of regions of maps (N, C, H, W); batch: list of the K regions' images.

    sensitive: each bin has maps of its own; there are C = C' · PH · PW of them, and the result has C' channels.
    """
    bins = rows.shape[1], columns.shape[1]
    channels = maps.shape[1] // (bins[0] * bins[1]) if sensitive else maps.shape[1]
    out = xp(maps).zeros((len(batch), channels, *bins), dtype=maps.dtype)
    spans = zip(batch, *_spans(rows), *_spans(columns))
    for k, (image, top, bottom, left, right) in enumerate(spans):
        part = maps[image, :, top:bottom, left:right]  # (C, h, w)
        down, across = rows[k, :, top:bottom], columns[k, :, left:right]
        if sensitive:
            part = part.reshape(channels, *bins, *part.shape[1:])  # (C', PH, PW, h, w)
            out[k] = ((part * down[:, None, :, None]).sum(-2) * across).sum(-1)
        else:
            out[k] = down @ (part @ across.T)
    return out


def spread_bins(bins, batch, rows, columns, sensitive, shape):
    """The adjoint of gather_bins: maps of that shape onto which the bins (K, C, PH, PW) are spread."""
    out = xp(bins).zeros(shape, dtype=bins.dtype)
    spans = zip(batch, *_spans(rows), *_spans(columns))
    for k, (image, top, bottom, left, right) in enumerate(spans):
        down, across = rows[k, :, top:bottom], columns[k, :, left:right]
        if sensitive:
            part = bins[k][..., None, None] * (down[:, None, :, None] * across[:, None, :])  # (C', PH, PW, h, w)
            part = part.reshape(shape[1], *part.shape[3:])
        else:
            part = down.T @ (bins[k] @ across)
        out[image, :, top:bottom, left:right] += part
    return out


def largest_of_bins(maps, batch, first_rows, end_rows, first_columns, end_columns):
    """Where in the flat maps the largest value of each bin lies, (K, C, PH, PW); -1 for bins without cells."""
    n, channels, height, width = maps.shape
    count, bins_high = first_rows.shape
    bins_wide = first_columns.shape[1]
    module = xp(maps)
    out = module.full((count, channels, bins_high, bins_wide), -1, dtype=np.int64)
    channel = module.arange(channels)
    bounds = [bound.tolist() for bound in (first_rows, end_rows, first_columns, end_columns)]
    for k, (image, tops, bottoms, lefts, rights) in enumerate(zip(batch, *bounds)):
        for i, (top, bottom) in enumerate(zip(tops, bottoms)):
            for j, (left, right) in enumerate(zip(lefts, rights)):
                if bottom <= top or right <= left:
                    continue
                place = maps[image, :, top:bottom, left:right].reshape(channels, -1).argmax(1)
                y, x = top + place // (right - left), left + place % (right - left)
                out[k, :, i, j] = ((image * channels + channel) * height + y) * width + x
    return out


def suppressed(boxes, scores, threshold):
    """The boxes (n, 4) that are kept, best first: none overlaps a better one by more than threshold (of the union)."""
    order = np.argsort(-scores, kind="stable")
    x1, y1, x2, y2 = boxes[order].T
    area = (x2 - x1) * (y2 - y1)
    alive = np.ones(len(order), dtype=bool)
    kept = []
    for index in range(len(order)):
        if not alive[index]:
            continue
        kept.append(index)
        rest = slice(index + 1, None)
        wide = (np.minimum(x2[index], x2[rest]) - np.maximum(x1[index], x1[rest])).clip(0, None)
        high = (np.minimum(y2[index], y2[rest]) - np.maximum(y1[index], y1[rest])).clip(0, None)
        shared = wide * high
        with np.errstate(invalid="ignore", divide="ignore"):  # boxes without area: 0 / 0 overlaps nothing
            alive[rest] &= ~(shared / (area[index] + area[rest] - shared) > threshold)
    return order[kept]
