"""Between NumPy and tensors, indexing and reductions as notebooks write them."""

import numpy as np
import torch
from common import waves

array = np.ones((2, 3), dtype=np.float32)
shared, copied = torch.from_numpy(array), torch.tensor(array)
shared.add_(1)
print(array.sum(), copied.sum(), np.mean(shared.numpy()), f"{shared[0, 0]:.2f}", float(shared[1, 2]))
x = torch.arange(24).view(2, 3, 4)
print(x[:, -1], x[..., 0], x[x % 7 == 0], x[[0, 1], [1, 2]], x[0, :, None].shape, x.sum((0, 2)), x.float().std())
print(x.permute(2, 0, 1).shape, x.max(dim=-1).indices, x.flatten(1).float().topk(2), x.unfold(2, 2, 2).shape)
print(
    torch.where(x > 20, x, 0).nonzero(), x.roll(1, 0)[0, 0], x.chunk(2, -1)[1].shape, torch.einsum("bij,bij->b", x, x)
)
print(
    torch.linalg.solve(torch.eye(2) * 4, torch.ones(2)),
    torch.cdist(waves(2, 3), waves(2, 3)),
    torch.histc(waves(20), 4),
)
print(
    x.dtype, x.shape, torch.device("cpu"), torch.finfo(torch.float32).eps, str(torch.float16).split(".")[-1], x.type()
)
for wrong in (lambda: x.view(5), lambda: x[2], lambda: torch.tensor([1.5]).item().nothing):
    try:
        wrong()
    except (RuntimeError, IndexError, AttributeError) as error:
        print(type(error).__name__)
