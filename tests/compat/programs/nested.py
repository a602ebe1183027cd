"""Sentences of different lengths as nested tensors: both layouts, attention by heads, a transformer block, caches."""

import torch
import torch.nn.functional as F
from common import fixed, waves
from torch import nn


def shown(nested):
    """The first values and the shape of each part."""
    return [[*(round(one, 3) for one in part.flatten()[:3].tolist()), tuple(part.shape)] for part in nested.unbind()]


class Heads(nn.Module):
    """Attention with a projection for each of query, key and value."""

    def __init__(self, width, count):
        super().__init__()
        self.count = count
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def split(self, x):
        return x.unflatten(-1, [self.count, x.size(-1) // self.count]).transpose(1, 2)

    def forward(self, x, memory):
        parts = self.split(self.query(x)), self.split(self.key(memory)), self.split(self.value(memory))
        return self.out(F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(-2))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.first, self.second = Heads(8, 2), nn.LayerNorm(8), nn.RMSNorm(8)
        self.gate, self.up, self.down = nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x):
        normed = self.first(x)
        x = x + self.attention(normed, normed)
        normed = self.second(x)
        return x + self.down(F.silu(self.gate(normed)) * self.up(normed))


# both layouts
strided = torch.nested.nested_tensor([torch.arange(12.0).reshape(2, 6), torch.arange(18.0).reshape(3, 6)])
print(strided, strided.is_nested, strided.dim(), strided.numel(), strided.size(0))
print(torch.nested.to_padded_tensor(strided, -1.0), strided[1, :, -1])
try:
    strided.size(1)
except RuntimeError as error:
    print(error)
print(strided.reshape(2, -1, 3, 2).transpose(1, 2))
left = torch.nested.nested_tensor([waves(2, 2), waves(2, 3)])
print(shown(left.matmul(left.transpose(1, 2))), shown(F.softmax(left, dim=-1)))
a, b = torch.arange(3.0, requires_grad=True), torch.arange(5.0, requires_grad=True)
joined = torch.nested.as_nested_tensor([a, b])
joined.backward(torch.nested.nested_tensor([torch.ones(3), torch.zeros(5)]))
print(a.grad, b.grad, joined.is_leaf)
jagged = torch.nested.nested_tensor_from_jagged(waves(12, 2), torch.tensor([0, 3, 5, 6, 10, 12]))
print(jagged.offsets().diff(), jagged.layout, jagged.shape[0], jagged.shape[2], shown(jagged), jagged.mean(1))

# attention by heads: as for every sentence by itself
sentences = [waves(length, 8) * length for length in (3, 5, 1, 2)]
batch = torch.nested.nested_tensor(sentences, layout=torch.jagged)
memory = torch.nested.nested_tensor([waves(length, 8) for length in (2, 2, 4, 1)], layout=torch.jagged)
heads, block = fixed(Heads(8, 2)), fixed(Block())
with torch.no_grad():
    out = heads(batch, batch)
    print(shown(out), out.size(1) == batch.size(1), shown(heads(batch, memory)))
    alone = [heads(sentence[None], sentence[None])[0] for sentence in sentences]
    print([torch.allclose(one, other, atol=1e-6) for one, other in zip(out.unbind(), alone)])
    y = block(batch)
    print(shown(y), y.mean(1).sum(0), y.to_padded_tensor(0.0).shape)

# an encoder's evaluation, embeddings, a cache, a mask
encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
encoder = fixed(encoder).eval()
with torch.no_grad():
    print(shown(encoder(torch.nested.nested_tensor([waves(2, 8), waves(4, 8)]))))
    padding = torch.tensor([[False, False, True, True], [False, False, False, True]])
    print(encoder(waves(2, 4, 8), src_key_padding_mask=padding)[..., 0])
tokens = torch.nested.nested_tensor([torch.tensor([1, 2]), torch.tensor([3, 0, 1])], layout=torch.jagged)
print(shown(fixed(nn.Embedding(4, 3))(tokens)))
cache = torch.nested.narrow(waves(3, 5, 2), 1, torch.tensor([0, 1, 2]), torch.tensor([3, 2, 2]), layout=torch.jagged)
print(cache.is_contiguous(), shown(cache), shown(cache.contiguous()))
print(torch.nested.masked_select(waves(3, 4), waves(3, 4) > 0).offsets())
