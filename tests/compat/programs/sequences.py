"""Sequences of several lengths: collate_fn, padding, packing, a bidirectional GRU, CTC."""

import torch
from common import fixed, waves
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader

texts = [torch.arange(1, 2 + length) for length in (3, 1, 4, 2)]


def collate(batch):
    return pad_sequence(batch, batch_first=True), torch.tensor([len(text) for text in batch])


embedding, gru = fixed(nn.Embedding(7, 4, padding_idx=0)), fixed(nn.GRU(4, 3, bidirectional=True, batch_first=True))
head = fixed(nn.Linear(6, 7))
for padded, lengths in DataLoader(texts, batch_size=2, collate_fn=collate):
    packed = pack_padded_sequence(embedding(padded), lengths, batch_first=True, enforce_sorted=False)
    output, state = gru(packed)
    output, restored = pad_packed_sequence(output, batch_first=True)
    print(padded.tolist(), restored, output.sum((1, 2)), state.shape)
logits = head(waves(9, 2, 6)).log_softmax(2)
loss = nn.CTCLoss()(logits, torch.tensor([[1, 2, 2], [3, 0, 0]]), (9, 9), (3, 1))
loss.backward()
print(loss, head.weight.grad.norm())
