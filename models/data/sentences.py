"""Sentences with parse trees: a small grammar, its parser, and a question that only the structure answers.

::

    S   → NP VP                 the cat | ate a big rat
    NP  → Det N                 the | cat              also NP_RC → NP RC: the cat | that saw a dog
    N   → Adj N                 big | rat              or a noun alone
    VP  → V NP                  ate | a big rat
    RC  → that VP               that | ate a big rat   also RC → that GAP: that | the cat ate
    GAP → NP V                  the cat | ate

Phrases nest without limit: the rat that the cat that a dog chased ate saw a bird.
"""
import dataclasses
import random

DETERMINERS = ("a", "the")
ADJECTIVES = ("big", "small", "black", "quick")
NOUNS = ("bird", "cat", "dog", "fox", "mouse", "rat")
VERBS = ("ate", "bit", "chased", "saw")
THAT = "that"
VOCABULARY = (*DETERMINERS, *ADJECTIVES, *NOUNS, *VERBS, THAT)
RULES = ("S", "NP", "NP_RC", "N", "VP", "RC", "GAP")
QUESTION = "Did a big one eat?"


@dataclasses.dataclass(frozen=True)
class Tree:
    """A phrase made of two parts by a rule; each part is a Tree or a word (str)."""

    rule: str
    left: "Tree | str"
    right: "Tree | str"

    def words(self):
        """The words from left to right.

        >>> parse("the cat ate a big rat").words()
        ['the', 'cat', 'ate', 'a', 'big', 'rat']
        """
        parts = (part.words() if isinstance(part, Tree) else [part] for part in (self.left, self.right))
        return [word for words in parts for word in words]

    def depth(self):
        """Levels of phrases, 1 for one that is made of words only."""
        return 1 + max(part.depth() if isinstance(part, Tree) else 0 for part in (self.left, self.right))

    def __str__(self):
        return " ".join(self.words())

    def brackets(self):
        """The tree on one line.

        >>> parse("the cat ate a big rat").brackets()
        '[S [NP the cat] [VP ate [NP a [N big rat]]]]'
        """
        parts = (part.brackets() if isinstance(part, Tree) else part for part in (self.left, self.right))
        return f"[{self.rule} {' '.join(parts)}]"

    def lines(self):
        """The tree as lines of text, one per rule and one per word.

        >>> print("\\n".join(parse("the cat ate a rat").lines()))
        S
        ├── NP
        │   ├── the
        │   └── cat
        └── VP
            ├── ate
            └── NP
                ├── a
                └── rat
        """
        rows = [self.rule]
        for part, branch, below in ((self.left, "├── ", "│   "), (self.right, "└── ", "    ")):
            first, *rest = part.lines() if isinstance(part, Tree) else [part]
            rows += [branch + first, *(below + row for row in rest)]
        return rows


# ---------------------------------------------------------------- parsing
class Parser:
    """Recursive descent: one method per phrase; the next word always decides which rule applies."""

    def __init__(self, words):
        self.words = words
        self.position = 0

    def sentence(self):
        tree = Tree("S", self.noun_phrase(), self.verb_phrase())
        if self.position < len(self.words):
            self._refuse("the end")
        return tree

    def noun_phrase(self):
        phrase = Tree("NP", self._take(DETERMINERS, "a or the"), self._described_noun())
        if self._next() == THAT:
            return Tree("NP_RC", phrase, self._relative_clause())
        return phrase

    def verb_phrase(self):
        return Tree("VP", self._take(VERBS, "a verb"), self.noun_phrase())

    def _described_noun(self):
        if self._next() in ADJECTIVES:
            return Tree("N", self._take(ADJECTIVES, "an adjective"), self._described_noun())
        return self._take(NOUNS, "a noun or an adjective")

    def _relative_clause(self):
        that = self._take((THAT,), THAT)
        if self._next() in VERBS:
            return Tree("RC", that, self.verb_phrase())  # that ate the cat
        return Tree("RC", that, Tree("GAP", self.noun_phrase(), self._take(VERBS, "a verb")))  # that the cat ate

    def _next(self):
        return self.words[self.position] if self.position < len(self.words) else None

    def _take(self, allowed, what):
        word = self._next()
        if word not in allowed:
            self._refuse(what)
        self.position += 1
        return word

    def _refuse(self, expected):
        before = f"after {' '.join(self.words[: self.position])!r}" if self.position else "at the beginning"
        found = repr(self._next()) if self._next() else "the end"
        raise ValueError(f"not a sentence of the grammar: {before} comes {found} where {expected} is expected")


def parse(text):
    """The tree of a sentence, which the grammar gives exactly one of; case and a final full stop do not matter.

    Raises:
        ValueError: for a word that is not in VOCABULARY, or words that are no sentence, saying where.

    >>> parse("A cat ate.").brackets()
    Traceback (most recent call last):
    ...
    ValueError: not a sentence of the grammar: after 'a cat ate' comes the end where a or the is expected
    """
    words = text.lower().strip().removesuffix(".").split()
    if not words:
        raise ValueError("the sentence has no words")
    unknown = sorted(set(words) - set(VOCABULARY))
    if unknown:
        raise ValueError(
            f"unknown word{'s' if len(unknown) > 1 else ''} {', '.join(map(repr, unknown))}; "
            f"the grammar knows: {' '.join(VOCABULARY)}"
        )
    limit = 200  # the parser and the networks recur once per level
    if len(words) > limit:
        raise ValueError(f"the sentence has {len(words)} words, more than {limit}")
    return Parser(words).sentence()


# ---------------------------------------------------------------- meaning
def adjectives(phrase):
    """The adjectives of a noun phrase's own noun, not those of nouns inside its relative clause."""
    if phrase.rule == "NP_RC":
        return adjectives(phrase.left)
    found, noun = [], phrase.right
    while isinstance(noun, Tree):
        found.append(noun.left)
        noun = noun.right
    return found


def facts(tree, subject=None):
    """Who does what: pairs of a verb and its subject, a noun phrase, from left to right.

    >>> [(verb, str(subject)) for verb, subject in facts(parse("the rat that a big cat ate saw the dog"))]
    [('ate', 'a big cat'), ('saw', 'the rat that a big cat ate')]
    """
    if not isinstance(tree, Tree):
        return []
    if tree.rule == "VP":
        return [(tree.left, subject), *facts(tree.right)]
    if tree.rule == "GAP":
        return [*facts(tree.left), (tree.right, tree.left)]
    # A relative clause's verb has the noun phrase before it as its subject, the sentence's verb the phrase on its left.
    owner = {"S": tree.left, "NP_RC": tree.left, "RC": subject}.get(tree.rule)
    return facts(tree.left) + facts(tree.right, owner)


def big_one_ate(tree):
    """The answer to QUESTION: whether the subject of some "ate" is called big.

    >>> big_one_ate(parse("the cat ate a big rat")), big_one_ate(parse("the big cat ate a rat"))
    (False, True)
    """
    return any(verb == "ate" and "big" in adjectives(subject) for verb, subject in facts(tree))


# ---------------------------------------------------------------- making sentences
NOUN, VERB = "NOUN", "VERB"  # places to be filled


def _noun_phrase(clauses, rng):
    """The words of a random noun phrase with so many relative clauses nested in each other, as places to fill."""
    phrase = [rng.choice(DETERMINERS), NOUN]
    if not clauses:
        return phrase
    inner = _noun_phrase(clauses - 1, rng)
    return [*phrase, THAT, VERB, *inner] if rng.random() < 0.5 else [*phrase, THAT, *inner, VERB]


def _filled(places, nouns, verbs):
    """The sentence whose places hold these nouns (lists of words, adjectives included) and verbs, in this order."""
    nouns, verbs = iter(nouns), iter(verbs)
    words = []
    for place in places:
        words += next(nouns) if place == NOUN else [next(verbs)] if place == VERB else [place]
    return Parser(words).sentence()


def _matched_pair(clauses, rng):
    """Two sentences made of the same words, the first with a big eater, the second with another one being big."""
    before = rng.randint(0, clauses)
    places = [*_noun_phrase(before, rng), VERB, *_noun_phrase(clauses - before, rng)]
    verbs = [rng.choice(VERBS[1:]) for _ in range(places.count(VERB))]
    verbs[rng.randrange(len(verbs))] = "ate"
    nouns = [rng.choice(NOUNS) for _ in range(places.count(NOUN))]
    big, other = rng.sample(range(len(nouns)), 2)
    descriptions = [[rng.choice(ADJECTIVES[1:])] if rng.random() < 0.4 else [] for _ in nouns]
    if descriptions[big] == ["small"]:
        descriptions[big] = []  # nobody is both big and small

    def sentence(at):
        """The sentence in which the noun number at is big and has the description of the noun numbered big."""
        own = list(descriptions)
        own[big], own[other] = (own[big], own[other]) if at == big else (own[other], own[big])
        own[at] = ["big", *own[at]]
        return _filled(places, [[*words, noun] for words, noun in zip(own, nouns)], verbs)

    pair = sentence(big), sentence(other)
    return sorted(pair, key=big_one_ate, reverse=True)


def matched_pairs(count, clauses=(0, 1, 2), seed=0):
    """Random pairs of sentences with the same words and different answers to QUESTION.

    In every sentence one verb is "ate" and one noun is big: in the first of a pair the eater, in the second another
    one. Whatever sees only which words a sentence has gives the two the same answer, one of which is wrong: it is right
    about exactly half of all sentences, whatever it has learned.

    Args:
        count: number of pairs; all sentences differ.
        clauses: the numbers of relative clauses to choose from, which say how deep the sentences nest.
        seed: the same seed gives the same pairs everywhere.

    Returns:
        list of (Tree, Tree): big_one_ate holds for the first of each.

    Raises:
        ValueError: where there are not that many different sentences.

    >>> yes, no = matched_pairs(1, clauses=(0,))[0]
    >>> sorted(yes.words()) == sorted(no.words()), big_one_ate(yes), big_one_ate(no)
    (True, True, False)
    """
    rng = random.Random(f"sentences {seed}")
    pairs, known = [], set()
    failures = 0
    while len(pairs) < count:
        yes, no = _matched_pair(rng.choice(clauses), rng)
        if not big_one_ate(yes) or big_one_ate(no) or yes in known or no in known:
            failures += 1
            if failures > 1000 + 50 * count:
                raise ValueError(f"found only {len(pairs)} of {count} pairs of different sentences")
            continue
        known |= {yes, no}
        pairs.append((yes, no))
    return pairs
