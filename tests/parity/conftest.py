"""The helpers beside the tests are command-line programs that need PyTorch: pytest looks for no doctests in them."""

collect_ignore = ["claimed.py", "compare.py", "convert.py", "moduleinfo.py", "opinfo.py", "programs"]
collect_ignore_glob = ["cases_*.py"]
