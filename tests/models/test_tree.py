"""Sentences, their trees, the recursive network that follows them, and the bag of words that cannot."""
import collections
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from models.__main__ import main
from models.commands import sentences as sentence_command
from models.data.sentences import RULES, VOCABULARY, Tree, adjectives, big_one_ate, facts, matched_pairs, parse
from models.tree import BagOfWords, TreeNetwork, operations

PNG = b"\x89PNG\r\n\x1a\n"


def bag(tree):
    return tuple(sorted(tree.words()))


# ---------------------------------------------------------------- grammar
@pytest.mark.parametrize(
    "text, brackets, answer",
    [
        ("the cat ate a big rat", "[S [NP the cat] [VP ate [NP a [N big rat]]]]", False),
        ("The big cat ate a rat.", "[S [NP the [N big cat]] [VP ate [NP a rat]]]", True),
        ("a black big cat ate a rat", "[S [NP a [N black [N big cat]]] [VP ate [NP a rat]]]", True),
        ("the big cat saw a rat", "[S [NP the [N big cat]] [VP saw [NP a rat]]]", False),
        (
            "the rat that a big cat ate saw the dog",
            "[S [NP_RC [NP the rat] [RC that [GAP [NP a [N big cat]] ate]]] [VP saw [NP the dog]]]",
            True,
        ),
        (
            "the big rat that a cat ate saw the dog",
            "[S [NP_RC [NP the [N big rat]] [RC that [GAP [NP a cat] ate]]] [VP saw [NP the dog]]]",
            False,
        ),
        (
            "the big rat that ate a cat saw the dog",
            "[S [NP_RC [NP the [N big rat]] [RC that [VP ate [NP a cat]]]] [VP saw [NP the dog]]]",
            True,
        ),
        ("a cat that saw the big dog ate a rat", None, False),
        ("a big cat that saw the dog ate a rat", None, True),
        ("the fox bit a bird that the rat that a big dog saw ate", None, False),
        ("the fox bit a bird that the big rat that a dog saw ate", None, True),
        ("the fox bit a bird that the rat that a big dog ate saw", None, True),
    ],
)
def test_sentences_have_the_trees_and_answers_that_a_reader_gives_them(text, brackets, answer):
    tree = parse(text)
    assert str(tree) == text.lower().rstrip(".")
    assert brackets is None or tree.brackets() == brackets
    assert big_one_ate(tree) is answer


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "has no words"),
        ("the cat ate a large rat", "unknown word 'large'; the grammar knows: a the big"),
        ("the cow ate a large rat", "unknown words 'cow', 'large'"),
        ("cat ate a rat", "at the beginning comes 'cat' where a or the is expected"),
        ("the cat", "after 'the cat' comes the end where a verb is expected"),
        ("the cat ate", "after 'the cat ate' comes the end where a or the is expected"),
        ("the big ate a rat", "after 'the big' comes 'ate' where a noun or an adjective is expected"),
        ("the cat ate a rat the", "comes 'the' where the end is expected"),
        ("the rat that the cat saw the dog", "saw' comes 'the' where a verb is expected"),
        ("the cat that that ate a rat", "comes 'that' where a or the is expected"),
        ("the cat ate a " + "big " * 300 + "rat", "has 305 words, more than 200"),
    ],
)
def test_what_is_no_sentence_is_refused(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(text)


def test_the_longest_sentence_is_read():
    """The recursion of parser and network is deep enough for it."""
    tree = parse("the cat" + " that the cat" * 48 + " saw" * 49 + " a rat")
    assert tree.depth() > 90
    assert math.isfinite(TreeNetwork(4)([tree]).item())


@given(seed=st.integers(0, 10**6), clauses=st.integers(0, 5))
def test_matched_pairs_have_the_same_words_and_different_answers(seed, clauses):
    for yes, no in matched_pairs(3, (clauses,), seed):
        assert bag(yes) == bag(no) and yes != no
        assert big_one_ate(yes) and not big_one_ate(no)
        for tree in (yes, no):
            words = tree.words()
            assert parse(str(tree)) == tree
            assert words.count("that") == clauses and words.count("ate") == words.count("big") == 1
            assert all("small" not in adjectives(who) for _, who in facts(tree) if "big" in adjectives(who))


def test_pairs_are_the_same_for_the_same_seed_and_never_overlap():
    pairs = matched_pairs(300, seed=1)
    assert pairs == matched_pairs(300, seed=1)
    assert pairs[:100] == matched_pairs(100, seed=1)
    assert pairs != matched_pairs(300, seed=2)
    assert len({tree for pair in pairs for tree in pair}) == 600
    assert {str(yes).count("that") for yes, _ in pairs} == {0, 1, 2}


def test_more_pairs_than_there_are_sentences(monkeypatch):
    monkeypatch.setattr("models.data.sentences.NOUNS", ("cat",))
    monkeypatch.setattr("models.data.sentences.ADJECTIVES", ("big", "big"))
    with pytest.raises(ValueError, match=r"found only \d+ of 100 pairs"):
        matched_pairs(100, (0,))


# ---------------------------------------------------------------- networks
def by_hand(network, part):
    """The vector of a phrase with Python's own numbers."""
    if not isinstance(part, Tree):
        return network.words.weight[VOCABULARY.index(part)].tolist()
    parts = by_hand(network, part.left) + by_hand(network, part.right)
    rule = network.rules[part.rule]
    return [
        math.tanh(sum(w * x for w, x in zip(row, parts)) + bias)
        for row, bias in zip(rule.weight.tolist(), rule.bias.tolist())
    ]


def test_the_tree_network_computes_its_formula():
    network = TreeNetwork(5)
    trees = [tree for pair in matched_pairs(3, (0, 1, 2)) for tree in pair]
    for tree, logit in zip(trees, network(trees).tolist()):
        vector = by_hand(network, tree)
        expected = sum(w * x for w, x in zip(network.answer.weight[0].tolist(), vector)) + network.answer.bias.item()
        assert logit == pytest.approx(expected, abs=1e-5)


def test_gradients_flow_through_every_tree():
    network = TreeNetwork(4).double()
    trees = [tree for pair in matched_pairs(4, (0, 1, 2)) for tree in pair]
    loss_of = lambda: (network(trees) ** 2).sum()  # noqa: E731
    loss_of().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    step = 1e-6
    for parameter in network.parameters():
        flat, index = parameter.data.view(-1), parameter.grad.abs().argmax().item()
        value = flat[index].item()
        flat[index] = value + step
        above = loss_of().item()
        flat[index] = value - step
        below = loss_of().item()
        flat[index] = value
        assert parameter.grad.flatten()[index].item() == pytest.approx((above - below) / (2 * step), rel=1e-4)


def test_each_sentence_has_a_graph_of_its_own_and_the_bag_one_for_all():
    texts = ("a cat ate a rat", "the cat ate a big rat", "the rat that a big cat ate saw the dog")
    trees = [parse(text) for text in texts]
    assert len({operations(TreeNetwork()([tree])) for tree in trees}) == 3
    assert len({operations(BagOfWords()([tree])) for tree in trees}) == 1


def test_the_rules_of_the_network_are_those_of_the_grammar():
    network = TreeNetwork(3)
    assert sorted(network.rules) == sorted(RULES)
    tree = parse("the big rat that a cat that saw a dog ate bit a fox")
    network([tree]).sum().backward()
    assert [rule for rule in RULES if not network.rules[rule].weight.grad.any()] == []


# ---------------------------------------------------------------- why a bag of words cannot do it
def test_no_function_of_the_bag_is_right_about_more_than_half():
    """The proof: among all sentences with one bag as many have the answer yes as no, hence the best that can be said of
    a bag is right about half of them, even with the answers at hand."""
    pairs = matched_pairs(500)
    answers = collections.defaultdict(collections.Counter)
    for tree in (tree for pair in pairs for tree in pair):
        answers[bag(tree)][big_one_ate(tree)] += 1
    best = sum(max(counts.values()) for counts in answers.values())
    assert best == len(pairs)


@given(seed=st.integers(0, 10**6))
def test_any_bag_of_words_network_is_right_about_exactly_half(seed):
    mg.manual_seed(seed)
    network = BagOfWords(16)
    assert sentence_command.accuracy(network, matched_pairs(10, seed=seed)) == 0.5


def train(network, pairs, **kw):
    settings = {"epochs": 8, "batch_size": 16, "lr": 2e-2, "seed": 0}
    sentence_command.train(network, pairs, **{**settings, **kw})


def test_the_tree_network_learns_what_the_bag_of_words_cannot():
    pairs = matched_pairs(250, (0, 1))
    training, test = pairs[:150], pairs[150:]
    tree, words = TreeNetwork(16), BagOfWords(64)
    train(tree, training)
    train(words, training)
    assert sentence_command.accuracy(tree, test) >= 0.95
    assert sentence_command.accuracy(words, test) == 0.5
    assert sentence_command.accuracy(words, training) == 0.5
    # The lecture's sentence and its twin.
    with mg.no_grad():
        small, big = (tree([parse(text)]).item() for text in ("the cat ate a big rat", "the big cat ate a rat"))
    assert small < 0 < big


def test_training_repeats_itself():
    states = []
    for _ in range(2):
        mg.manual_seed(3)
        network = TreeNetwork(4)
        train(network, matched_pairs(10), epochs=1)
        states.append(network.state_dict())
    assert all(mg.equal(states[0][name], states[1][name]) for name in states[0])


# ---------------------------------------------------------------- the command
def command(tmp_path, *arguments):
    small = ["--pairs", 20, "--test-pairs", 10, "--epochs", 1, "--size", 6, "--out", tmp_path / "run"]
    return main(["sentences", *map(str, (*small, *arguments))])


def test_the_command_trains_both_and_shows_examples(tmp_path, capsys):
    assert command(tmp_path, "--seeds", 2) == 0
    printed = capsys.readouterr().out
    assert "mean of 2 seeds and 95 % interval" in printed
    for name in ("training", "test", "deeper"):
        assert re.search(rf"^{name} +[\d.]+ ± [\d.]+ +50\.0 ± 0\.0$", printed, re.MULTILINE)
    assert "the cat ate a big rat\n  S\n  ├── NP\n  │   ├── the" in printed
    assert len(re.findall(r"a graph of \d+ operations", printed)) == 2 * len(sentence_command.EXAMPLES)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["networks.pt", "trees.png"]
    assert (tmp_path / "run" / "trees.png").read_bytes().startswith(PNG)


def test_a_sentence_is_answered_by_the_networks_of_the_last_run(tmp_path, capsys, monkeypatch):
    sentence = "the rat that a big cat ate saw the dog"
    assert command(tmp_path, "--sentence", sentence, "--sentence", "the cat ate a rat") == 0
    first = capsys.readouterr().out
    assert "that nest deeper; 1 epoch\n" in first
    assert "one seed" in first and "Did a big one eat? yes" in first and "Did a big one eat? no" in first
    monkeypatch.setattr(sentence_command, "train", None)  # there is nothing left to train
    assert command(tmp_path, "--sentence", sentence, "--sentence", "the cat ate a rat") == 0
    second = capsys.readouterr().out
    shown = first.index(f"\n{sentence}\n")
    assert second.endswith(first[shown:]) and "networks.pt has the networks and figures of 1 seed (remove" in second
    monkeypatch.undo()
    assert command(tmp_path, "--sentence", "the cat ate a rat", "--epochs", 2) == 0  # other settings: trained anew
    assert "2 epochs" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--sentence", "the cat ate a large rat"], "--sentence: unknown word 'large'"),
        (["--sentence", "cat the ate rat a"], "--sentence: not a sentence of the grammar: at the beginning"),
        (["--sentence", " "], "--sentence: the sentence has no words"),
        (["--pairs", "100000000", "--out", "/dev/null/x"], "--out /dev/null/x: cannot write there"),
        (["--lr", "0"], "argument --lr: 0 is not more than 0"),
        (["--pairs", "0"], "argument --pairs: 0 is not at least 1"),
        (["--seeds", "many"], "argument --seeds: invalid int value: 'many'"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["sentences", *arguments])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith(f"error: {message}") and printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_damaged_weights_are_named(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "networks.pt").write_bytes(b"PK no weights")
    assert command(tmp_path, "--sentence", "the cat ate a rat") == 2
    assert "networks.pt cannot be read; remove it to train anew" in capsys.readouterr().err


@pytest.mark.parametrize("done", [0, 2])
def test_an_interrupted_command_keeps_the_seeds_that_are_done(done, tmp_path, capsys, monkeypatch):
    begun = []
    real = sentence_command.train

    def train_until_interrupted(network, pairs, **kw):
        begun.append(network)
        if len(begun) == 2 * done + 2:  # in the bag of words of that seed
            raise KeyboardInterrupt
        real(network, pairs, **kw)

    monkeypatch.setattr(sentence_command, "train", train_until_interrupted)
    assert command(tmp_path, "--seeds", 5) == 130
    printed = capsys.readouterr().out
    assert f"interrupted after {done} of 5 seeds" in printed
    assert (f"mean of {done} seeds" in printed) == bool(done)
    left = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert left == (["networks.pt", "trees.png"] if done else [])

    begun.clear()
    monkeypatch.setattr(sentence_command, "train", lambda *args, **kw: begun.append(real(*args, **kw)))
    assert command(tmp_path, "--seeds", 3) == 0, "the same command goes on"
    assert len(begun) == 2 * (3 - done)
    table = capsys.readouterr().out
    monkeypatch.undo()
    assert command(tmp_path / "whole", "--seeds", 3) == 0
    whole = capsys.readouterr().out
    parts = [text[text.index("accuracy / %") : text.index("wrote")] for text in (table, whole)]
    assert parts[0] == parts[1]
