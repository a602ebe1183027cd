"""What a training run tells about itself while it goes: the progress bar, log.csv, history.json, TensorBoard."""
import csv
import io
import json
import sys
import time
from pathlib import Path

from models.common import CommandError, require, write_text


class Progress:
    """A bar of one epoch's images, with their rate, the epoch's and the whole run's time left; or nothing.

    Args:
        shown: whether there is a bar.
        title: before it.
        total: images of the epoch.
        later: epochs still to come.
        seconds: what an epoch has taken so far, tests included; None: not known yet.
    """

    def __init__(self, shown, title, total, later, seconds=None):
        self.total, self.later, self.seconds = total, later, seconds
        self.started = time.perf_counter()
        self.bar = None
        if not shown:
            return
        # On a terminal the bar is redrawn often and wiped; in a log it appears every few seconds, for long epochs only.
        live = sys.stderr.isatty()
        pause = 0.1 if live else 5.0
        self.bar = require("tqdm", "or give --no-progress").tqdm(
            total=total,
            desc=title,
            unit=" images",
            leave=False,
            ascii=not live,
            mininterval=pause,
            delay=0 if live else pause,
            dynamic_ncols=live,
        )

    def update(self, count, loss=None):
        """After a batch: so many images of the epoch are done, with this mean loss (in training)."""
        if self.bar is None:
            return
        if loss is None:
            self.bar.update(count - self.bar.n)
            return
        epoch = self.seconds or (time.perf_counter() - self.started) * self.total / count
        left = epoch * (self.later + max(0, 1 - count / self.total))
        self.bar.set_postfix_str(f"loss {loss:.4f}, all {self.bar.format_interval(left)}", refresh=False)
        self.bar.update(count - self.bar.n)

    def close(self):
        if self.bar is not None:
            self.bar.close()


class Logs:
    """The files that hold the figures of every epoch, written anew after each; a resumed run goes on with them.

    Args:
        folder: where they are.
        tensorboard: whether to log for TensorBoard too.
        epoch: epochs done so far; what TensorBoard has from later ones, an earlier run's too, is dropped.
    """

    def __init__(self, folder, tensorboard=False, epoch=0):
        self.folder = Path(folder)
        self.writer = _summary_writer(self.folder / "tensorboard", epoch) if tensorboard else None

    def write(self, history):
        """All epochs so far, one dict each."""
        write_text(self.folder / "history.json", json.dumps(history, indent=1) + "\n")
        columns = list(dict.fromkeys(name for entry in history for name in entry)) or ["epoch"]
        table = io.StringIO()
        rows = csv.DictWriter(table, columns, lineterminator="\n")
        rows.writeheader()
        rows.writerows(history)
        write_text(self.folder / "log.csv", table.getvalue())

    def add(self, entry):
        """The newest epoch, for TensorBoard."""
        if self.writer is None:
            return
        for name, value in entry.items():
            if name != "epoch":
                self.writer.add_scalar(name, value, entry["epoch"])
        self.writer.flush()

    def close(self):
        if self.writer is not None:
            self.writer.close()


def _summary_writer(folder, epoch):
    try:
        from minigrad.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(folder), purge_step=epoch + 1)
    except ImportError as error:
        raise CommandError(f"--tensorboard: pip install -e '.[tensorboard]' ({error})") from error
