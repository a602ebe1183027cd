"""Run the programs of the folder one after the other and print what each printed, as JSON."""

import contextlib
import io
import json
import runpy
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "programs"
sys.path.insert(0, str(FOLDER))
printed = {}
for path in sorted(FOLDER.glob("*.py")):
    if path.stem == "common":
        continue
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        runpy.run_path(str(path), run_name="__main__")
    printed[path.stem] = out.getvalue()
print(json.dumps(printed))
