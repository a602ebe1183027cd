"""Networks that read sentences: one whose graph follows the parse tree, and one whose graph is always the same."""
import minigrad
from minigrad import nn
from models.data.sentences import RULES, VOCABULARY, Tree

_NUMBER = {word: number for number, word in enumerate(VOCABULARY)}


class TreeNetwork(nn.Module):
    """A recursive network: the vector of a phrase is made from the vectors of its two parts.

    ::

        h(word)   = the word's row of a learned table
        h(phrase) = tanh(W_rule [h(left); h(right)] + b_rule)
        logit     = w · h(sentence) + b

    Each rule of the grammar has its own W and b. The recursion is Python's own, so that every sentence has the graph
    that its tree says, and backward finds its way through each. Sources: Socher, Lin, Ng and Manning, "Parsing natural
    scenes and natural language with recursive neural networks", 2011; with a composition per rule: Socher, Bauer,
    Manning and Ng, "Parsing with compositional vector grammars", 2013.

    Args:
        size: length of the vectors.

    >>> from models.data.sentences import parse
    >>> sentences = [parse("the cat ate a big rat"), parse("the rat that a big cat ate saw the dog")]
    >>> tuple(TreeNetwork()(sentences).shape)
    (2,)
    """

    def __init__(self, size=24):
        super().__init__()
        self.size = size
        self.words = nn.Embedding(len(VOCABULARY), size)
        self.rules = nn.ModuleDict({rule: nn.Linear(2 * size, size) for rule in RULES})
        self.answer = nn.Linear(size, 1)

    def compose(self, part, vectors):
        """The vector (size,) of a phrase or word, whose words' vectors come next from the iterator vectors."""
        if not isinstance(part, Tree):
            return next(vectors)
        left = self.compose(part.left, vectors)
        right = self.compose(part.right, vectors)
        return self.rules[part.rule](minigrad.cat([left, right])).tanh()

    def forward(self, trees):
        """The logits (N,) of N trees."""
        words = [_NUMBER[word] for tree in trees for word in tree.words()]
        vectors = iter(self.words(minigrad.tensor(words)).unbind())  # all words of all sentences at once, (W, size)
        sentences = minigrad.stack([self.compose(tree, vectors) for tree in trees])  # (N, size)
        return self.answer(sentences).squeeze(1)


class BagOfWords(nn.Module):
    """A network with a fixed graph, which sees how often each word occurs and nothing else.

    ::

        counts (N, V)  →  linear  →  ReLU  →  linear  →  logits (N,)

    Two sentences with the same words have the same counts and hence the same logit, whatever the weights are.

    Args:
        size: number of hidden units; 456 give as many parameters as TreeNetwork has.

    >>> from models.data.sentences import parse
    >>> one, other = BagOfWords()([parse("the cat ate a big rat"), parse("a rat ate the big cat")]).tolist()
    >>> abs(one - other) < 1e-6
    True
    """

    def __init__(self, size=456):
        super().__init__()
        self.size = size
        self.hidden = nn.Linear(len(VOCABULARY), size)
        self.answer = nn.Linear(size, 1)

    def forward(self, trees):
        """The logits (N,) of N trees."""
        bags = [tree.words() for tree in trees]
        counts = minigrad.tensor([[float(bag.count(word)) for word in VOCABULARY] for bag in bags])  # (N, V)
        return self.answer(self.hidden(counts).relu()).squeeze(1)


def operations(output):
    """How many operations the graph behind a tensor records, leaves not counted.

    >>> from models.data.sentences import parse
    >>> network = TreeNetwork()
    >>> operations(network([parse("a cat ate a rat")])), operations(network([parse("the cat ate a big rat")]))
    (21, 25)
    """
    known, waiting = set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in known or not node.next_functions:
            continue
        known.add(node)
        waiting += [parent for parent, _ in node.next_functions]
    return len(known)
