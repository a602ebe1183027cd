"""python -m models sentences: a network whose graph follows the sentence, against one that sees a bag of words."""
import random
import sys
import time
from pathlib import Path

import minigrad
from minigrad import nn, optim
from minigrad.recipes import mean_interval
from models.commands import plots
from models.common import CommandError, number, open_folder, require, written_whole
from models.data.sentences import QUESTION, Tree, big_one_ate, matched_pairs, parse
from models.tree import BagOfWords, TreeNetwork, operations

HELP = "train a recursive network on parse trees, against a bag of words"

NETWORKS = {"tree network": TreeNetwork, "bag of words": lambda size: BagOfWords()}
SETS = ("training", "test", "deeper")
DEEPER = (3, 4)  # relative clauses of the sentences that nest deeper than those for training, which have 0 to 2
EXAMPLES = ("the cat ate a big rat", "the big cat ate a rat", "the big rat that a cat ate saw the dog")
DRAWN = 4  # trees in the picture, at most


def add_arguments(parser):
    parser.description = (
        f"{HELP}. The question is {QUESTION!r}; every sentence has a twin with the same words and the other answer."
    )
    add = parser.add_argument_group("sentences").add_argument
    add("--sentence", action="append", default=[], metavar="TEXT",
        help='parse this one, print its tree and the answer, e.g. "the cat ate a big rat"; may be given several times')
    add("--pairs", type=number(int, 1), default=600, metavar="N", help="pairs of training sentences (default: 600)")
    add("--test-pairs", type=number(int, 1), default=200, metavar="N", help="pairs of each test set (default: 200)")
    add = parser.add_argument_group("training").add_argument
    add("--seeds", type=number(int, 1), default=5, metavar="N", help="runs, each with its own data (default: 5)")
    add("--epochs", type=number(int, 1), default=10, metavar="N", help="passes over the sentences (default: 10)")
    add("--batch-size", type=number(int, 1), default=32, metavar="N", help="sentences per step (default: 32)")
    add("--lr", type=number(float, 0, strictly=True), default=1e-2, metavar="RATE",
        help="Adam's learning rate, which falls to 0 as a cosine (default: 0.01)")
    add("--size", type=number(int, 1), default=24, metavar="N", help="length of the phrases' vectors (default: 24)")
    add("--out", default="runs/sentences", metavar="DIR",
        help="where the picture and the weights go (default: runs/sentences)")


# ---------------------------------------------------------------- training
def train(network, pairs, *, epochs, batch_size, lr, seed):
    """Teach a network the answers of all sentences of these pairs; it sees each once per epoch, in random order."""
    rng = random.Random(f"order {seed}")
    sentences = [(tree, float(answer)) for yes, no in pairs for tree, answer in ((yes, True), (no, False))]
    loss_of = nn.BCEWithLogitsLoss()
    optimizer = optim.Adam(network.parameters(), lr=lr)
    steps = epochs * -(-len(sentences) // batch_size)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    network.train()
    for _ in range(epochs):
        rng.shuffle(sentences)
        for start in range(0, len(sentences), batch_size):
            trees, answers = zip(*sentences[start : start + batch_size])
            optimizer.zero_grad()
            loss = loss_of(network(trees), minigrad.tensor(answers))
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)  # deep trees have steep places
            optimizer.step()
            schedule.step()


@minigrad.no_grad()
def accuracy(network, pairs):
    """The fraction of the sentences of these pairs about which a network is right."""
    network.eval()
    right = sum(int(logit > 0) for logit in network([yes for yes, _ in pairs]).tolist())
    right += sum(int(logit <= 0) for logit in network([no for _, no in pairs]).tolist())
    return right / (2 * len(pairs))


def data_sets(arguments, seed):
    """The pairs for training, others of the same kind for the test, and others that nest deeper."""
    pairs = matched_pairs(arguments.pairs + arguments.test_pairs, seed=seed)
    return {
        "training": pairs[: arguments.pairs],
        "test": pairs[arguments.pairs :],
        "deeper": matched_pairs(arguments.test_pairs, DEEPER, seed=seed),
    }


def build_and_train(kind, arguments, sets, seed):
    minigrad.manual_seed(seed)
    network = NETWORKS[kind](arguments.size)
    train(
        network, sets["training"], epochs=arguments.epochs, batch_size=arguments.batch_size, lr=arguments.lr, seed=seed
    )
    return network


# ---------------------------------------------------------------- weights
def _settings(arguments):
    return {name: getattr(arguments, name) for name in ("pairs", "test_pairs", "epochs", "batch_size", "lr", "size")}


def _weights(arguments):
    return Path(arguments.out) / "networks.pt"


class Kept:
    """What the runs with these settings have left in --out: the first seed's networks, and every seed's accuracies.

    networks: dict of kind → network, or None. scores: per seed a dict of kind → dict of set → accuracy.
    """

    def __init__(self, arguments):
        self.settings, self.path = _settings(arguments), _weights(arguments)
        self.networks, self.scores = None, []
        if self.path.exists():
            self._read(arguments.size)

    def _read(self, size):
        try:
            saved = minigrad.load(self.path)
            if saved["settings"] != self.settings:
                return
            networks = {kind: build(size) for kind, build in NETWORKS.items()}
            for kind, network in networks.items():
                network.load_state_dict(saved["states"][kind])
            self.networks, self.scores = networks, [dict(scores) for scores in saved["scores"]]
        except Exception as error:  # whatever a damaged file leads to
            raise CommandError(f"{self.path} cannot be read; remove it to train anew: {error}") from error

    def add(self, networks, scores):
        """Keep what one more seed has given."""
        self.networks = self.networks or networks
        self.scores.append(scores)
        states = {kind: network.state_dict() for kind, network in self.networks.items()}
        with written_whole(self.path) as temporary:
            minigrad.save({"settings": self.settings, "states": states, "scores": self.scores}, temporary)


# ---------------------------------------------------------------- what is printed and drawn
def show(tree, networks):
    """Print a sentence, its tree, the size of its graph and what the networks answer."""
    print(f"\n{tree}")
    print("\n".join("  " + line for line in tree.lines()))
    truth = big_one_ate(tree)
    print(f"  {QUESTION} {'yes' if truth else 'no'}")
    for kind, network in networks.items():
        network.eval()
        logit = network([tree])
        guess = logit.item() > 0
        print(
            f"  {kind + ':':14} {'yes' if guess else 'no':3} ({100 * logit.sigmoid().item():.1f} % yes), "
            f"{'right' if guess == truth else 'wrong'}, a graph of {operations(logit)} operations"
        )
    sys.stdout.flush()


def _place(part, depth, position, nodes, edges):
    """Lay out a tree: words side by side, phrases above the middle of their parts; returns the part's (x, y)."""
    if not isinstance(part, Tree):
        point = (position[0], -depth)
        position[0] += 1
    else:
        left = _place(part.left, depth + 1, position, nodes, edges)
        right = _place(part.right, depth + 1, position, nodes, edges)
        point = ((left[0] + right[0]) / 2, -depth)
        edges += [(point, left), (point, right)]
    nodes.append((point, part.rule if isinstance(part, Tree) else part, isinstance(part, Tree)))
    return point


def draw(trees, networks, path):
    """Write the trees, which are the graphs of the tree network, side by side as a PNG."""
    widths = [len(tree.words()) for tree in trees]
    height = 0.6 * max(tree.depth() for tree in trees) + 1.0
    drawing = plots.figure(figsize=(min(30.0, 0.75 * sum(widths) + 0.5), min(30.0, height)))
    row = drawing.subplots(1, len(trees), squeeze=False, width_ratios=widths)[0]
    for axes, tree in zip(row, trees):
        nodes, edges = [], []
        _place(tree, 0, [0], nodes, edges)
        for (x0, y0), (x1, y1) in edges:
            axes.plot([x0, x1], [y0, y1], color="0.6", linewidth=1, zorder=1)
        for (x, y), label, is_phrase in nodes:
            box = {"boxstyle": "round", "facecolor": "#dce9f7" if is_phrase else "#fdf1d0", "edgecolor": "0.5"}
            axes.text(x, y, label, ha="center", va="center", fontsize=8, bbox=box, zorder=2)
        axes.set(xlim=(-0.6, len(tree.words()) - 0.4), ylim=(-tree.depth() - 0.5, 0.5))
        axes.set_axis_off()
        logit = networks["tree network"]([tree])
        right = (logit.item() > 0) == big_one_ate(tree)
        answer = f"{QUESTION} {'yes' if logit.item() > 0 else 'no'}; {operations(logit)} operations"
        axes.set_title(answer, fontsize=8, color="black" if right else "red")
    plots.save(drawing, path)


def print_table(scores):
    """Accuracies of all seeds: mean and 95 % interval."""
    runs = len(scores)
    print(f"\naccuracy / %, {f'mean of {runs} seeds and 95 % interval' if runs > 1 else 'one seed'}")
    print(f"{'sentences':12}" + "".join(f"{kind:>18}" for kind in NETWORKS))
    for name in SETS:
        cells = []
        for kind in NETWORKS:
            values = [100 * of_seed[kind][name] for of_seed in scores]
            cells.append(f"{mean_interval(values):.1f}" if runs > 1 else f"{values[0]:.1f}")
        print(f"{name:12}" + "".join(f"{cell:>18}" for cell in cells))
    sys.stdout.flush()


# ---------------------------------------------------------------- the command
def run_seed(arguments, seed):
    """Train both networks on one seed's sentences; returns them and their accuracies."""
    try:
        sets = data_sets(arguments, seed)
    except ValueError as error:
        raise CommandError(f"--pairs and --test-pairs: {error}") from error
    networks = {kind: build_and_train(kind, arguments, sets, seed) for kind in NETWORKS}
    scores = {
        kind: {name: accuracy(network, pairs) for name, pairs in sets.items()} for kind, network in networks.items()
    }
    return networks, scores


def run_seeds(arguments, kept):
    """Run the seeds that are not kept yet; returns whether Ctrl-C ended that."""
    for seed in range(len(kept.scores), arguments.seeds):
        started = time.perf_counter()
        try:
            networks, scores = run_seed(arguments, seed)
        except KeyboardInterrupt:
            done = f"{seed} of {arguments.seeds} seeds"
            print(f"\ninterrupted after {done}; the same command goes on from there", flush=True)
            return True
        kept.add(networks, scores)
        tests = ", ".join(f"{kind} {100 * scores[kind]['test']:.1f} %" for kind in NETWORKS)
        print(f"seed {seed}: test {tests}  {time.perf_counter() - started:.1f} s", flush=True)
    return False


def describe(arguments):
    for kind, build in NETWORKS.items():
        size = sum(parameter.numel() for parameter in build(arguments.size).parameters())
        print(f"{kind}: {size:,} parameters")
    epochs = "1 epoch" if arguments.epochs == 1 else f"{arguments.epochs} epochs"
    print(
        f"{arguments.pairs:,} pairs of sentences for training, {arguments.test_pairs:,} for the test, and "
        f"{arguments.test_pairs:,} that nest deeper; {epochs}",
        flush=True,
    )


def run(arguments):
    """The command: returns its exit code."""
    try:
        trees = [parse(text) for text in arguments.sentence]
    except ValueError as error:
        raise CommandError(f"--sentence: {error}") from error
    require("matplotlib")
    minigrad.set_num_threads(1)  # vectors this short gain nothing from more
    open_folder(arguments.out)
    kept, interrupted = Kept(arguments), False
    if kept.scores:
        seeds = "1 seed" if len(kept.scores) == 1 else f"{len(kept.scores)} seeds"
        print(f"{kept.path} has the networks and figures of {seeds} (remove it to train anew)", flush=True)
    if trees:
        arguments.seeds = 1
    if len(kept.scores) < arguments.seeds:
        describe(arguments)
        interrupted = run_seeds(arguments, kept)
    networks = kept.networks
    if networks is None:
        return 130
    print_table(kept.scores[: arguments.seeds])
    shown = trees or [parse(text) for text in EXAMPLES]
    for tree in shown:
        show(tree, networks)
    picture = Path(arguments.out) / "trees.png"
    draw(shown[:DRAWN], networks, picture)
    print(f"\nwrote {picture}" + (f"; of {len(shown)} trees the first {DRAWN}" if len(shown) > DRAWN else ""))
    return 130 if interrupted else 0
