"""A character language model: embedding, two-layer LSTM with carried state, clipped gradients, RMSprop."""

import torch
import torch.nn as nn
from common import arguments, report, seed_weights

TEXT = "the quick brown fox jumps over the lazy dog; pack my box with five dozen liquor jugs. " * 12


class CharRNN(nn.Module):
    def __init__(self, tokens, hidden=48, layers=2):
        super().__init__()
        self.encoder = nn.Embedding(tokens, 24)
        self.rnn = nn.LSTM(24, hidden, layers, batch_first=True)
        self.decoder = nn.Linear(hidden, tokens)
        self.hidden, self.layers = hidden, layers

    def forward(self, x, state):
        output, state = self.rnn(self.encoder(x), state)
        return self.decoder(output.contiguous().view(-1, self.hidden)), state

    def init_hidden(self, batch):
        weight = next(self.parameters())
        shape = (self.layers, batch, self.hidden)
        return weight.new_zeros(shape), weight.new_zeros(shape)


def sample(model, start, length, index, characters):
    """Return the most probable continuation of the text `start`."""
    model.eval()
    with torch.no_grad():
        state = model.init_hidden(1)
        for c in start:
            logits, state = model(torch.tensor([[index[c]]]), state)
        text = start
        for _ in range(length):
            best = logits[-1].softmax(0).topk(1)[1].item()
            text += characters[best]
            logits, state = model(torch.LongTensor([[best]]), state)
    model.train()
    return text


def main():
    args = arguments(30)
    characters = sorted(set(TEXT))
    index = {c: i for i, c in enumerate(characters)}
    batch, length = 4, 20
    data = torch.tensor([index[c] for c in TEXT], dtype=torch.long)
    data = data[: len(data) // batch * batch].view(batch, -1)
    model = seed_weights(CharRNN(len(characters)))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
    losses = []
    while len(losses) < args.steps:
        state = model.init_hidden(batch)
        for start in range(0, data.size(1) - length - 1, length):
            x, y = data[:, start : start + length], data[:, start + 1 : start + 1 + length]
            state = tuple(part.detach() for part in state)
            logits, state = model(x, state)
            loss = criterion(logits, y.reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            losses.append(loss.item())
    print(sample(model, "the", 20, index, characters))
    report(losses[: args.steps], args.out)


if __name__ == "__main__":
    main()
