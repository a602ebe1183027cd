"""The helpers beside the tests are command-line programs that need PyTorch: pytest looks for no doctests in them."""

collect_ignore = ["compare.py", "convert.py", "moduleinfo.py", "opinfo.py", "programs"]
