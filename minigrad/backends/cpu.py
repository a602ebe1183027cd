"""The CPU: which of its instructions are used."""

from minigrad.backend import np


def get_cpu_capability():
    """Return the widest vector instructions that NumPy's loops use here: "AVX512", "AVX2", or "DEFAULT" for others.

    Matrix products are the BLAS library's, which chooses for itself: ``threadpoolctl.threadpool_info()`` tells what.
    Source: https://docs.pytorch.org/docs/stable/backends.html#torch.backends.cpu.get_cpu_capability

    >>> import minigrad as mg
    >>> mg.backends.cpu.get_cpu_capability() in ("AVX512", "AVX2", "DEFAULT")
    True
    """
    extensions = np.show_config(mode="dicts").get("SIMD Extensions", {})
    found = {*extensions.get("baseline", ()), *extensions.get("found", ())}
    if found & {"AVX512_SKX", "X86_V4"}:  # NumPy 2.4 has names for groups of instructions
        return "AVX512"
    if found & {"AVX2", "X86_V3"}:
        return "AVX2"
    return "DEFAULT"
