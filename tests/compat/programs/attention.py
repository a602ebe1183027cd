"""A small transformer classifier with masks, and attention written out."""

import math

import torch
from common import fixed, waves
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
encoder = fixed(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))
x = waves(2, 5, 8)
padding = torch.arange(5)[None, :] >= torch.tensor([5, 3])[:, None]
print(encoder(x, src_key_padding_mask=padding)[~padding].sum(0))
mask = nn.Transformer.generate_square_subsequent_mask(5)
print(encoder(x, mask=mask, is_causal=True)[:, 0, :3])
scores = (x @ x.transpose(-2, -1) / math.sqrt(8)).masked_fill(mask == float("-inf"), float("-inf"))
with sdpa_kernel(SDPBackend.MATH):
    same = scaled_dot_product_attention(x, x, x, is_causal=True)
print(
    torch.allclose(same, scores.softmax(-1) @ x, atol=1e-6), torch.einsum("bij,bjd->bid", scores.softmax(-1), x)[0, 1]
)
