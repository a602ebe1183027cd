"""Einstein summation: pairs of operands are multiplied as batches of matrices, from left to right."""

import math

from minigrad.ops.linalg import _check_operands, matrix_product
from minigrad.registry import function
from minigrad.tensor import Tensor
from minigrad.variable import MODE

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@function()
def einsum(*args):
    """Return the sum of products of the operands' elements that an equation names.

    Arguments: equation (str, such as "bij,bjk->bik", with "..." for any further dimensions, a letter repeated in one
    operand for its diagonal) and the operands; or operands each followed by its list of ints, and the output's list.
    RuntimeError for an equation that does not fit the operands.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.einsum.html

    >>> import minigrad as mg
    >>> mg.einsum("ij,ij->i", mg.ones(2, 3), mg.ones(2, 3))
    tensor([3., 3.])
    """
    inputs, output, operands = _parse(args)
    if MODE.autocast is None:  # which brings them to one type
        _check_operands("einsum", *operands)
    labels, output = _with_ellipsis(inputs, output, operands)
    sizes = _sizes(labels, operands)
    for label in output:
        if label not in sizes:
            raise RuntimeError(
                f"einsum(): output subscript {label} does not appear in the equation for any input operand"
            )
    if len(set(output)) != len(output):
        raise RuntimeError("einsum(): output subscripts appear more than once in the output")
    terms = [_diagonal(operand, term) for operand, term in zip(operands, labels, strict=True)]
    result, current = terms[0]
    for position, (operand, term) in enumerate(terms[1:], 1):
        later = {label for _, rest in terms[position + 1 :] for label in rest} | set(output)
        result, current = _pair(result, current, operand, term, later, sizes)
    result, current = _summed(result, current, set(output))
    result = result.permute([current.index(label) for label in output if label in current])
    return result.expand([sizes[label] for label in output]) if len(current) == len(output) else result


def _parse(args):
    """Return (terms, output term or None, operands); a term is a list of labels, with Ellipsis for '...'."""
    if not args:
        raise ValueError("einsum(): must specify the equation string and at least one operand")
    if not isinstance(args[0], str):
        output = _lettered(args[-1]) if len(args) % 2 else None
        pairs = args[:-1] if len(args) % 2 else args
        return [_lettered(term) for term in pairs[1::2]], output, list(pairs[0::2])
    equation, operands = args[0].replace(" ", ""), args[1:]
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = operands[0]
    operands = list(operands)
    if not operands:
        raise RuntimeError("einsum(): must provide at least one operand")
    left, arrow, right = equation.partition("->")
    terms = [_term(text) for text in left.split(",")]
    if len(terms) != len(operands):
        raise RuntimeError(
            f"einsum(): {'more' if len(operands) > len(terms) else 'fewer'} operands were provided than specified "
            "in the "
            f"equation ({len(operands)} for {len(terms)} terms)"
        )
    return terms, _term(right) if arrow else None, operands


def _term(text):
    """Return the labels of one term of an equation."""
    before, dots, after = text.partition("...")
    if not all(letter in _LETTERS for letter in before + after):
        raise RuntimeError(f"einsum(): invalid subscript given in {text!r}, subscripts must be in [a-zA-Z]")
    return [*before, Ellipsis, *after] if dots else list(before)


def _lettered(term):
    """Return a term given as ints (and Ellipsis) as letters."""
    if not all(item is Ellipsis or 0 <= item < len(_LETTERS) for item in term):
        raise ValueError(f"einsum(): subscripts must be in [0, {len(_LETTERS)}), but got {list(term)}")
    return [item if item is Ellipsis else _LETTERS[item] for item in term]


def _with_ellipsis(terms, output, operands):
    """Return the terms and the output with each Ellipsis spelled out as numbered labels, counted from the right."""
    widths = []
    for term, operand in zip(terms, operands, strict=True):
        if not isinstance(operand, Tensor):
            raise TypeError(f"einsum(): operands must be Tensors, not {type(operand).__name__}")
        named = len(term) - (Ellipsis in term)
        width = operand.array.ndim - named
        if width < 0 or (width > 0 and Ellipsis not in term):
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) does not match the number of dimensions "
                f"({operand.array.ndim}) for an operand of shape {list(operand.shape)}"
            )
        widths.append(width if Ellipsis in term else 0)
    widest = max(widths)
    spelled = [_spell(term, width) for term, width in zip(terms, widths, strict=True)]
    if output is None:
        counts = {}
        for term in spelled:
            for label in term:
                counts[label] = counts.get(label, 0) + 1
        letters = sorted(label for label, count in counts.items() if count == 1 and isinstance(label, str))
        return spelled, [*range(widest, 0, -1), *letters]
    return spelled, _spell(output, widest)


def _spell(term, width):
    """Return a term with Ellipsis replaced by the labels width, …, 2, 1."""
    return [label for item in term for label in (range(width, 0, -1) if item is Ellipsis else (item,))]


def _sizes(labels, operands):
    """Return {label: length}; a length of 1 broadcasts."""
    sizes = {}
    for term, operand in zip(labels, operands, strict=True):
        for label, length in zip(term, operand.array.shape, strict=True):
            known = sizes.get(label, 1)
            if known != 1 and length not in (1, known):
                raise RuntimeError(
                    f"einsum(): subscript {label} has size {length} for an operand of shape {list(operand.shape)} "
                    "which "
                    f"does not broadcast with previously seen size {known}"
                )
            sizes[label] = length if known == 1 else known
    return sizes


def _diagonal(operand, term):
    """Return the operand and labels with every repeated label taken along its diagonal."""
    term = list(term)
    for label in list(dict.fromkeys(term)):
        while term.count(label) > 1:
            first = term.index(label)
            second = term.index(label, first + 1)
            operand = operand.diagonal(0, first, second)
            del term[second], term[first]
            term.append(label)
    return operand, term


def _summed(operand, term, keep):
    """Return the operand summed over the labels that nothing needs."""
    dims = [dim for dim, label in enumerate(term) if label not in keep]
    return (operand.sum(dims), [label for label in term if label in keep]) if dims else (operand, term)


def _pair(a, la, b, lb, later, sizes):
    """Return the contraction of two operands over the labels that neither the rest nor the output needs."""
    a, la = _summed(a, la, later | set(lb))
    b, lb = _summed(b, lb, later | set(la))
    batch = [label for label in la if label in lb and label in later]
    inner = [label for label in la if label in lb and label not in later]
    rows = [label for label in la if label not in lb]
    columns = [label for label in lb if label not in la]
    left = _arranged(a, la, batch, rows, inner, sizes)  # (batch, rows, inner)
    right = _arranged(b, lb, batch, inner, columns, sizes)  # (batch, inner, columns)
    product = left @ right if inner else matrix_product(left, right)  # what only multiplies, autocast leaves alone
    labels = [*batch, *rows, *columns]
    return product.reshape([sizes[label] for label in labels]), labels


def _arranged(operand, term, *groups):
    """Return the operand with its dimensions in the order of three groups of labels, each flattened into one."""
    groups, sizes = groups[:-1], groups[-1]
    order = [term.index(label) for group in groups for label in group]
    moved = operand.permute(order) if order else operand
    full = [sizes[label] for group in groups for label in group]
    if list(moved.array.shape) != full:
        moved = moved.expand(full)
    return moved.reshape([math.prod(sizes[label] for label in group) for group in groups])
